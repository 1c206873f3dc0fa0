export const revalidate = 60;
export default () => <h1>varies {new Date().toISOString()}</h1>;
