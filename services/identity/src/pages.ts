/** The pages a person sees while signing in: plain HTML rendered here, without scripts. */
import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; font: 100%/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; }
main { width: min(22rem, 100vw - 2rem); padding: 1rem 0; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; font: inherit; padding: .6rem; margin-top: .25rem; border: 1px solid GrayText; border-radius: .4rem; }
button { font: inherit; width: 100%; padding: .7rem; margin-top: 1rem; border-radius: .4rem; border: 1px solid #0b57d0; background: #0b57d0; color: #fff; cursor: pointer; }
button.quiet { background: transparent; color: inherit; }
:focus-visible { outline: 3px solid #f59e0b; outline-offset: 2px; }
[role=alert] { border-left: .3rem solid #c5221f; padding: .5rem .75rem; }
small { color: GrayText; }
`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** `formTargets`: origins a form's answer may lead to; browsers follow form-action through redirects. */
export function pagePolicy(formTargets: readonly string[]): string {
  const targets = ["'self'", ...formTargets].join(' ');
  return `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action ${targets}; frame-ancestors 'none'; base-uri 'none'`;
}

export interface LoginPage {
  /** Path the form is sent to. */
  readonly action: string;
  readonly email?: string;
  /** What went wrong the last time, for a person. */
  readonly problem?: string;
  readonly minPassword: number;
}

export function loginPage(page: LoginPage): string {
  const problem = page.problem === undefined ? '' : `<p role="alert" id="problem">${escape(page.problem)}</p>`;
  const described = page.problem === undefined ? '' : ' aria-describedby="problem" aria-invalid="true"';
  return document(
    'Sign in',
    `<h1>Sign in</h1>${problem}
<form method="post" action="${escape(page.action)}">
<label for="email">E-mail address</label>
<input id="email" name="email" type="email" autocomplete="username" required maxlength="254" value="${escape(page.email ?? '')}"${described}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required minlength="${page.minPassword}" maxlength="128" aria-describedby="password-hint">
<small id="password-hint">At least ${page.minPassword} characters.</small>
<button type="submit" name="act" value="login">Sign in</button>
<button type="submit" name="act" value="register" class="quiet">Create an account with these</button>
</form>`,
  );
}

export function messagePage(title: string, text: string): string {
  return document(title, `<h1>${escape(title)}</h1><p>${escape(text)}</p><p><a href="/">Back to the shop</a></p>`);
}

const document = (title: string, main: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · Flashsale</title><style>${STYLE}</style></head>
<body><main>${main}</main></body></html>
`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
