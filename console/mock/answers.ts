/** Answers in the API's forms. */
import { HttpResponse } from 'msw';

import type { Schemas } from '../src/api/client.ts';

export function shown(body: object, status = 200) {
  return new HttpResponse(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', etag: etag(body) },
  });
}

export function problem(status: number, code: string, detail: string) {
  const body: Schemas['Problem'] = {
    type: `urn:ostiary:problem:${code}`,
    title: code,
    status,
    detail,
    code,
  };
  return new HttpResponse(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', 'x-request-id': 'req-7f3a' },
  });
}

/** What changes with the body. Nobody has to be unable to invent another with the same. */
export function etag(body: object): string {
  const text = JSON.stringify(body);
  let [one, two] = [0x811c9dc5, 0x9e3779b9];
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    one = Math.imul(one ^ unit, 0x01000193);
    two = Math.imul(two + unit, 0x85ebca6b) ^ (two >>> 15);
  }
  return `"${[one, two].map((it) => (it >>> 0).toString(16).padStart(8, '0')).join('')}"`;
}
