/**
 * The console with an invented gateway in the browser itself, behind a service worker: nothing is asked of
 * any server but these files. Everybody who opens it is signed in; what they change is gone when they load
 * it again.
 */
import { http } from 'msw';
import { setupWorker } from 'msw/browser';

import { Sessions } from './sessions.ts';
import { TOKEN } from './world.ts';

const sessions = new Sessions();
let session: string | undefined = sessions.begin(TOKEN);

const worker = setupWorker(
  http.all('*/api/*', async ({ request }) => {
    const [response, whose] = await sessions.answer(request, session);
    session = whose;
    return response;
  }),
);

await worker.start({
  quiet: true,
  onUnhandledFrame: 'bypass',
  serviceWorker: { url: '/mockServiceWorker.js' },
});
await import('../src/main.tsx');
