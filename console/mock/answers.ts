/** Answers in the API's forms. */
import { createHash } from 'node:crypto';

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

export function etag(body: object): string {
  return `"${createHash('sha256').update(JSON.stringify(body)).digest('hex').slice(0, 32)}"`;
}
