/** Lists in which things are made, changed and deleted as the API does it. */
import { http, HttpResponse, type PathParams } from 'msw';

import { etag, problem, shown } from './answers.ts';

export interface Listed<T extends object> {
  /** In MSW's form, up to the name of one. */
  path: string;
  /** Where the last part of the path names one. */
  param: string;
  all: (params: PathParams) => T[];
  put: (all: T[]) => void;
  /** All there are, of whatever they are parts of. */
  whole: () => T[];
  nameOf: (it: T) => string;
  /** What the gateway adds to what is sent, or the answer where it refuses. */
  complete: (body: object, params: PathParams) => Response | T;
  /** The same for a change. */
  check?: (body: object) => Response | undefined;
  /** What of a change is shown afterwards; all of it where this is absent. */
  shownOf?: (body: object) => object;
}

export function crud<T extends object>(list: Listed<T>) {
  const one = `${list.path}/:${list.param}`;
  const find = (params: PathParams) =>
    list.all(params).find((it) => list.nameOf(it) === params[list.param]);
  return [
    http.get(list.path, ({ params, request }) =>
      shown(pageOf(list.all(params), new URL(request.url).searchParams)),
    ),
    http.get(one, ({ params }) => {
      const found = find(params);
      return found ? shown(found) : nowhere(list, params);
    }),
    http.post(list.path, async ({ params, request }) => {
      const body = (await request.json()) as object;
      if (!request.headers.has('idempotency-key')) return problem(400, 'malformed', 'no key');
      const made = list.complete(body, params);
      if (made instanceof Response) return made;
      const name = list.nameOf(made);
      if (list.all(params).some((it) => list.nameOf(it) === name)) {
        return problem(409, 'duplicate', `\`${name}\` already exists`);
      }
      list.put([...list.whole(), made]);
      return shown(made, 201);
    }),
    http.patch(one, async ({ params, request }) => {
      const found = find(params);
      if (!found) return nowhere(list, params);
      if (request.headers.get('if-match') !== etag(found)) {
        return problem(412, 'mismatch', 'it has changed since you read it; read it again');
      }
      const body = (await request.json()) as object;
      const refused = list.check?.(body);
      if (refused) return refused;
      Object.assign(found, list.shownOf?.(body) ?? body);
      return shown(found);
    }),
    http.delete(one, ({ params }) => {
      const found = find(params);
      list.put(list.whole().filter((it) => it !== found));
      return new HttpResponse(null, { status: 204 });
    }),
  ];
}

function nowhere({ param }: { param: string }, params: PathParams) {
  return problem(404, 'not_found', `there is no ${param} \`${String(params[param])}\``);
}

/** A cursor is the place at which the page begins. */
function pageOf<T>(all: T[], query: URLSearchParams) {
  const start = Number(query.get('cursor') ?? 0);
  const end = start + Number(query.get('limit') ?? all.length);
  const items = all.slice(start, end);
  return end < all.length ? { items, next_cursor: String(end) } : { items };
}
