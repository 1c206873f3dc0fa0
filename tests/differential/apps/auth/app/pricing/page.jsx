export const revalidate = 2;

export default () => <h1>pricing {new Date().toISOString()}</h1>;
