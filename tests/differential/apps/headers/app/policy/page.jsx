export const revalidate = 60;
export default () => <h1>policy {new Date().toISOString()}</h1>;
