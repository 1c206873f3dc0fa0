export const revalidate = 60;

export default () => <h1>page csp {new Date().toISOString()}</h1>;
