import Link from "next/link";
import { useRouter } from "next/router";

export default () => {
  const { locale, locales, defaultLocale, asPath } = useRouter();
  return (
    <>
      <h1>
        home {locale} of {locales.join()} ({defaultLocale}) at {asPath}
      </h1>
      <Link href="/about">about</Link>{" "}
      <Link href="/about" locale="de">
        über
      </Link>
    </>
  );
};
