import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';

import { makeCache } from './cache';
import { makeRouter } from './router';
import { localPath } from './search';
import { schemes, theme } from './theme';

/** The whole console. */
export function makeApp() {
  const queries = makeCache(() => {
    queries.clear();
    // Whoever has signed out is on the way there, and leaves nothing to come back to.
    if (router.history.location.pathname === '/sign-in') return;
    const next = localPath(router.state.location.href);
    void router.navigate({ to: '/sign-in', search: { next } });
  });
  const router = makeRouter(queries);
  const app = (
    <StrictMode>
      <MantineProvider
        theme={theme}
        defaultColorScheme="auto"
        colorSchemeManager={schemes}
        // Both would be inline style elements; the style sheets have what they would say.
        withCssVariables={false}
        withGlobalClasses={false}
      >
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>
  );
  return { app, queries, router };
}
