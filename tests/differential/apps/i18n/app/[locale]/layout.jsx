import { notFound } from "next/navigation";

export const generateStaticParams = () => ["en", "de", "fr"].map((locale) => ({ locale }));

export default async ({ children, params }) => {
  const { locale } = await params;
  if (!["en", "de", "fr"].includes(locale)) notFound();
  return (
    <html lang={locale}>
      <body>{children}</body>
    </html>
  );
};
