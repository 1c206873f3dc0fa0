export const revalidate = 60;
export const generateStaticParams = () => [];
export default function Page() { return <main><h1>Plain</h1></main>; }
