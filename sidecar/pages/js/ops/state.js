// What the parts of the supervisors' page share: who looks, at which tenant, all tenants at a glance, the watched views.

/** `go(address)`: with an entry in the browser's history; `change(part)`: of the address, without one. */
export const app = { me: null, isOperator: false, isAdmin: false, tenant: null, tenants: [], watches: null, go: () => {}, change: () => {} };

/** Of the tenant that is looked at. */
export const pathOf = (rest) => `ops/${encodeURIComponent(app.tenant)}/${rest}`;

/** `then` after the last call of many. */
export function settled(then, ms) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => then(...given), ms);
  };
}
