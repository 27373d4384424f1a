export function Logo() {
  return <img className="logo" src="/forno.svg" alt="" width="28" height="28" />;
}
