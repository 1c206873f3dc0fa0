export default ({ children, team, stats }) => (
  <section>
    {children}
    <div id="team">{team}</div>
    <div id="stats">{stats}</div>
  </section>
);
