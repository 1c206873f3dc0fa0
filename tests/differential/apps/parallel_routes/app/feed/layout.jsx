export default ({ children, modal }) => (
  <section>
    {children}
    <aside>{modal}</aside>
  </section>
);
