export const getStaticProps = ({ locale, defaultLocale }) => ({ props: { locale, defaultLocale, at: new Date().toISOString() }, revalidate: 2 });

export default ({ locale, defaultLocale, at }) => (
  <h1>
    timed {locale} {defaultLocale} {at}
  </h1>
);
