// First, so that the styles of our own components come after those that they refine.
import './app/theme';

import { createRoot } from 'react-dom/client';

import { makeApp } from './app/app';

const root = document.querySelector('#root');
if (root) createRoot(root).render(makeApp().app);
