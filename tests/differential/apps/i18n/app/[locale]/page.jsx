export default async ({ params }) => <h1>{{ en: "Welcome", de: "Willkommen", fr: "Bienvenue" }[(await params).locale]}</h1>;
