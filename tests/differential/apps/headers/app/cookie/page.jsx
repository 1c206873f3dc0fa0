export const revalidate = 60;
export default () => <h1>cookie {new Date().toISOString()}</h1>;
