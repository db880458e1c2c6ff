import { describe, expect, test } from 'vitest';

import { readEvents, type ServerEvent } from './events';

describe('events are cut from bytes', () => {
  const cases: [string, string, ServerEvent[]][] = [
    ['one', 'event: record\ndata: 1\n\n', [{ ...plain('1'), event: 'record' }]],
    ['without a name', 'data: x\n\n', [plain('x')]],
    ['many lines of data', 'data: a\ndata: b\n\n', [plain('a\nb')]],
    ['comments are none', ':\n\n: keep\n\n', []],
    ['a name without data is none', 'event: record\n\n', []],
    ['every kind of line end', 'data: a\r\n\r\ndata: b\r\rdata: c\n\n', ['a', 'b', 'c'].map(plain)],
    ['only the first space goes', 'data:  a\n\ndata:b\n\n', [plain(' a'), plain('b')]],
    [
      'a name does not outlast its event',
      'event: x\ndata: 1\n\ndata: 2\n\n',
      [{ ...plain('1'), event: 'x' }, plain('2')],
    ],
    ['what has no end is no event', 'data: a', []],
    ['unknown fields are passed over', 'retry: 1\nfoo\ndata: a\n\n', [plain('a')]],
    [
      'an id holds until there is another',
      'id: 4\ndata: a\n\ndata: b\n\nid: 5\ndata: c\n\n',
      [
        { ...plain('a'), id: '4' },
        { ...plain('b'), id: '4' },
        { ...plain('c'), id: '5' },
      ],
    ],
    ['letters of several bytes', 'data: zero\u200Bwidth 😀\n\n', [plain('zero\u200Bwidth 😀')]],
  ];

  test.each(cases)('%s', async (_, text, expected) => {
    const bytes = new TextEncoder().encode(text);
    // However the bytes are cut into pieces, the events are the same.
    for (const size of [1, 2, 3, 7, bytes.length]) {
      expect(await collect(inPieces(bytes, size)), `pieces of ${size}`).toEqual(expected);
    }
  });
});

test('an event without end is an error and not a full memory', async () => {
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(97)),
  });
  await expect(collect(endless)).rejects.toThrow('an event is too long');
});

test('many lines without an end of the event are an error too', async () => {
  const line = new TextEncoder().encode(`data: ${'a'.repeat(1000)}\n`);
  const endless = new ReadableStream<Uint8Array>({ pull: (it) => it.enqueue(line) });
  await expect(collect(endless)).rejects.toThrow('an event is too long');
});

test('a silent connection is given up', async () => {
  const silent = new ReadableStream<Uint8Array>({});
  await expect(collect(silent, 10)).rejects.toThrow('silent');
});

test('bytes that are no text are shown as such', async () => {
  const bytes = new Uint8Array([...new TextEncoder().encode('data: '), 0xff, 0xfe, 10, 10]);
  expect(await collect(inPieces(bytes, 99))).toEqual([plain('\uFFFD\uFFFD')]);
});

function plain(data: string): ServerEvent {
  return { event: 'message', data, id: '' };
}

async function collect(body: ReadableStream<Uint8Array>, idleMs = 5_000): Promise<ServerEvent[]> {
  const found = [];
  for await (const event of readEvents(body, idleMs)) found.push(event);
  return found;
}

function inPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}
