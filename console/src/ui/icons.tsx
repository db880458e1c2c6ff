/** Line icons on a grid of 16, drawn for this console. Decoration only: names stand beside them. */
function icon(path: string) {
  return function Icon({ size = 16 }: { size?: number }) {
    return (
      <svg
        width={size}
        height={size}
        viewBox="0 0 16 16"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
        focusable="false"
      >
        <path d={path} />
      </svg>
    );
  };
}

export const AccountIcon = icon('M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.5 14a5.5 5.5 0 0 1 11 0');
export const ApprovalsIcon = icon(
  'M8 1.8 13.2 3.6v4c0 3-2.2 5.4-5.2 6.6-3-1.2-5.2-3.6-5.2-6.6v-4zM5.6 7.9l1.7 1.7 3.1-3.4',
);
export const ArrowDownIcon = icon('M8 3v10M4 9l4 4 4-4');
export const BackIcon = icon('M10 3 5 8l5 5');
export const ChartIcon = icon('M2.5 2.5v11h11M4.5 10.5l3-3.5 2.5 2 3.5-4.5');
export const CheckIcon = icon('m3 8.5 3.2 3.2L13 5');
export const ChevronIcon = icon('m5 6.5 3 3 3-3');
export const CloseIcon = icon('m4 4 8 8M12 4l-8 8');
export const CopyIcon = icon('M6 5.5h7v8H6zM10 5.5v-3H3v8h3');
export const DownloadIcon = icon('M8 2.5v7M5 7l3 3 3-3M3 13.5h10');
export const GatewayIcon = icon('M3 13.5v-6a5 5 0 0 1 10 0v6M1.5 13.5h13M8 8v2.5');
export const KeyboardIcon = icon('M1.5 4.5h13v7h-13zM4 7h.01M6.5 7h.01M9 7h.01M11.5 7h.01M5 9.5h6');
export const LimitIcon = icon('M2.5 12.5a5.5 5.5 0 1 1 11 0M8 12.5l2.5-4M1.5 14h13');
export const MenuIcon = icon('M2.5 4.5h11M2.5 8h11M2.5 11.5h11');
export const MoonIcon = icon('M13 9.6A5.5 5.5 0 0 1 6.4 3a5.5 5.5 0 1 0 6.6 6.6Z');
export const OverviewIcon = icon(
  'M2.5 2.5h4.5v5h-4.5zM9 2.5h4.5v3H9zM9 7.5h4.5v6H9zM2.5 9.5h4.5v4h-4.5z',
);
export const PauseIcon = icon('M5.5 3.5v9M10.5 3.5v9');
export const PlayIcon = icon('M5 3.2v9.6l7.5-4.8z');
export const PlugIcon = icon('M5.5 2v3.5M10.5 2v3.5M3.5 5.5h9v2a4.5 4.5 0 0 1-9 0zM8 12v2.5');
export const RecordsIcon = icon('M2.5 3.5h11M2.5 8h11M2.5 12.5h7');
export const SearchIcon = icon('M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.3 10.3l3.2 3.2');
export const ServerIcon = icon('M2.5 2.5h11v4.5h-11zM2.5 9h11v4.5h-11zM5 4.8h.01M5 11.3h.01');
export const SignOutIcon = icon('M6.5 2.5h-4v11h4M6.5 8h7M11 5.5 13.5 8 11 10.5');
export const SunIcon = icon(
  'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7',
);
export const ScreenIcon = icon('M1.5 3h13v8h-13zM5.5 13.5h5');
export const BotIcon = icon('M3 6h10v7H3zM8 6V3.2M6 9.2h.01M10 9.2h.01M6.3 11.2h3.4M8 2.6h.01');
export const ColumnsIcon = icon('M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10');
export const DotsIcon = icon('M3.5 8h.01M8 8h.01M12.5 8h.01');
export const GrantIcon = icon(
  'M8 7a2.3 2.3 0 1 0 0-4.6A2.3 2.3 0 0 0 8 7ZM3 13.5c.4-2.6 2.3-4 5-4M9.6 12l1.5 1.5 2.7-3',
);
export const KeyIcon = icon(
  'M5.2 13.2a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8ZM7.4 8.2l5.4-5.4M10.4 5.2l2 2',
);
export const PersonIcon = icon(
  'M8 7.6a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4ZM2.8 13.8c.5-2.6 2.4-4 5.2-4s4.7 1.4 5.2 4',
);
export const PlusIcon = icon('M8 3v10M3 8h10');
export const PolicyIcon = icon('M3.5 2h6.3l2.7 2.7V14h-9zM6 7.5h4M6 10.3h4');
export const PowerIcon = icon('M8 2v5.5M4.7 4.3a5.2 5.2 0 1 0 6.6 0');
export const QuestionIcon = icon(
  'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.2 6.3a1.8 1.8 0 1 1 2.6 1.6c-.6.3-.8.6-.8 1.2M8 11.2h.01',
);
export const ReplicaIcon = icon('M2.5 5.5h8v8h-8zM5.5 5.5v-3h8v8h-3');
export const RoleIcon = icon(
  'M2 4h12v8.5H2zM5.5 8.7a1.3 1.3 0 1 0 0-2.6 1.3 1.3 0 0 0 0 2.6ZM3.7 10.8c.5-.9 1-1.2 1.8-1.2s1.3.3 1.8 1.2M9.5 7H12M9.5 9.5H12',
);
export const SlidersIcon = icon('M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M10 3.5v3M6 9.5v3');
export const TeamIcon = icon(
  'M6 7.4a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6ZM1.8 13c.4-2.2 1.9-3.3 4.2-3.3s3.8 1.1 4.2 3.3M10.5 3.1a2.2 2.2 0 0 1 0 4.1M12 9.9c1.2.5 2 1.5 2.3 3.1',
);
export const WarningIcon = icon('M8 2.2 14.5 13.5h-13zM8 6.5v3.2M8 11.6h.01');

export const WorkspaceIcon = icon('M8 2 14 5 8 8 2 5zM2 8l6 3 6-3M2 11l6 3 6-3');

/** The mark: a door with its keyhole. */
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="var(--o-accent-fill)" />
      <path
        d="M9.5 26V13.5a6.5 6.5 0 0 1 13 0V26"
        fill="none"
        stroke="#fff"
        strokeWidth="2.4"
        strokeLinecap="round"
      />
      <circle cx="16" cy="17" r="2.3" fill="#fff" />
      <path d="M16 18.4V23" stroke="#fff" strokeWidth="2.4" strokeLinecap="round" />
    </svg>
  );
}
