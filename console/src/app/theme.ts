/** Mantine, as this console uses it. Colours are in `theme.css`. */
import './mantine.css';
import './theme.css';

import {
  Button,
  createTheme,
  localStorageColorSchemeManager,
  Modal,
  NativeSelect,
  PasswordInput,
  Switch,
  Textarea,
  TextInput,
  Tooltip,
} from '@mantine/core';

/** The same key as in `public/scheme.js`. */
export const schemes = localStorageColorSchemeManager({ key: 'ostiary-scheme' });

export const theme = createTheme({
  primaryColor: 'indigo',
  respectReducedMotion: true,
  cursorType: 'pointer',
  components: {
    Button: Button.extend({ defaultProps: { size: 'xs' } }),
    // Locking the page's scrolling needs an inline style element.
    Modal: Modal.extend({ defaultProps: { lockScroll: false, centered: true } }),
    NativeSelect: NativeSelect.extend({ defaultProps: { size: 'xs' } }),
    PasswordInput: PasswordInput.extend({ defaultProps: { size: 'sm' } }),
    Switch: Switch.extend({ defaultProps: { size: 'sm', withThumbIndicator: false } }),
    Textarea: Textarea.extend({ defaultProps: { size: 'xs' } }),
    TextInput: TextInput.extend({ defaultProps: { size: 'xs' } }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 400, withArrow: true } }),
  },
});
