import { readFile } from 'node:fs/promises';

import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import { expect, test } from 'vitest';

test('the types are those of the API that is described: else run `npm run schema`', async () => {
  const described = await readFile('../api/openapi.json', 'utf8');
  const wanted = COMMENT_HEADER + astToString(await openapiTS(described));
  expect(await readFile('src/api/schema.ts', 'utf8')).toBe(wanted);
});
