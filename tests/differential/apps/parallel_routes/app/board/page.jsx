export const revalidate = 2;

export default () => <h1>board {new Date().toISOString()}</h1>;
