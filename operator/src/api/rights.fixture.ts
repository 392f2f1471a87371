/** Rights as `verb resource.group`: those that the roles grant, and the one that a request needs. */
import { readdirSync } from 'node:fs';
import { manifests, RBAC, type Manifest } from './cluster.fixture.ts';

interface Role {
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

/** `resource` has its subresource, as `deployments/scale`. */
export const right = (verb: string, resource: string, group: string): string => `${verb} ${resource}.${group}`;

/** Everything that operator/config/rbac grants. */
export function granted(): Set<string> {
  const roles = readdirSync(RBAC).flatMap((file) => manifests(new URL(file, RBAC)) as (Manifest & Role)[]);
  const rules = roles.flatMap(({ rules = [] }) => rules);
  return new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => right(verb, resource, group)))),
    ),
  );
}

const RESOURCE =
  /^\/(?:api|apis\/(?<group>[^/]+))\/v\w+(?:\/namespaces\/[^/]+)?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+)(?:\/(?<sub>\w+))?)?$/;
const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** Of a request such as `GET /apis/apps/v1/namespaces/shop/deployments/till`; undefined where it is for no resource. */
export function rightOf(request: string): string | undefined {
  const [method = '', target = ''] = request.split(' ');
  const url = new URL(target, 'http://any');
  const found = RESOURCE.exec(url.pathname)?.groups;
  if (!found) return undefined;
  const { group = '', plural = '', name, sub } = found;
  const reads = url.searchParams.get('watch') === 'true' ? 'watch' : name === undefined ? 'list' : 'get';
  return right(VERBS[method] ?? reads, [plural, sub].filter(Boolean).join('/'), group);
}
