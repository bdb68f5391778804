// Light or dark: as the system has it, or as the button says, which the browser remembers.

const KEY = 'aionbd-theme';
const CHOICES = ['auto', 'light', 'dark'] as const;
type Choice = (typeof CHOICES)[number];

const SHOWN: Readonly<Record<Choice, readonly [string, string]>> = {
  auto: ['◐', 'Colours: as the system has them'],
  light: ['☀', 'Colours: light'],
  dark: ['☾', 'Colours: dark'],
};

/** `changed` is called when the colours are others. */
export function initTheme(button: HTMLButtonElement, changed: () => void): void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  let choice = remembered();
  const apply = () => {
    const isDark = choice === 'dark' || (choice === 'auto' && system.matches);
    document.documentElement.toggleAttribute('data-dark', isDark);
    const [sign, label] = SHOWN[choice];
    button.textContent = sign;
    button.setAttribute('aria-label', label);
    button.title = label;
    changed();
  };
  button.addEventListener('click', () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length]!;
    remember(choice);
    apply();
  });
  system.addEventListener('change', apply);
  apply();
}

function remembered(): Choice {
  try {
    const kept = localStorage.getItem(KEY);
    return CHOICES.find((choice) => choice === kept) ?? 'auto';
  } catch {
    // Not allowed to remember anything.
    return 'auto';
  }
}

function remember(choice: Choice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // It holds until the page is closed, then.
  }
}
