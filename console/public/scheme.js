// Chooses between dark and light before anything is painted. A file of its own, because the
// content security policy allows no inline script.
(() => {
  let wanted = 'auto';
  try {
    wanted = localStorage.getItem('ostiary-scheme') || 'auto';
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const scheme = wanted === 'light' || wanted === 'dark' ? wanted : dark ? 'dark' : 'light';
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
})();
