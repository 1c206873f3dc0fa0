export const getStaticProps = ({ locale, defaultLocale }) => ({ props: { locale, defaultLocale, at: new Date().toISOString() }, revalidate: 600 });

export default ({ locale, defaultLocale, at }) => (
  <h1>
    guarded {locale} {defaultLocale} {at}
  </h1>
);
