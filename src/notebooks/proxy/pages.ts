/** The few pages the content origin has of its own. Plain HTML; the only script is the one that hands a ticket over. */
import { createHash } from 'node:crypto'

const style =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#1b2733;background:#fff}h1{font-size:1.4rem}a{color:#0b5cad}@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#12181f}a{color:#7db7ff}}'

/** Reads the ticket from the fragment, which no server sees, and exchanges it by POST. */
const enterScript = `const page = document.querySelector('main')
const fragment = new URLSearchParams(location.hash.slice(1))
history.replaceState(null, '', location.pathname)
const say = (text) => { page.querySelector('p').textContent = text }
const ticket = fragment.get('ticket')
if (ticket === null) say('This page opens a notebook session from its page on the platform. Open it there again.')
else fetch('/_content/enter', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ticket, to: fragment.get('to') ?? '' }) })
  .then(async (response) => {
    const answer = await response.json()
    if (response.ok) location.replace(answer.location)
    else say(answer.detail + ' ' + (answer.hint ?? ''))
  })
  .catch(() => say('The platform does not answer. Open the session again from its page in a moment.'))
`

const scriptSum = createHash('sha256').update(enterScript).digest('base64')

export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptSum}'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
}

export function enterPage(): string {
  return document('Opening the session', '<p role="status">Opening the session…</p>', `<script>${enterScript}</script>`)
}

export function messagePage(title: string, text: string, platformUrl: string, again: boolean): string {
  const link = again ? `<p><a href="${escape(platformUrl)}/sessions">Start again from the sessions page</a></p>` : ''
  return document(title, `<p>${escape(text)}</p>${link}`, '')
}

function document(title: string, content: string, script: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title><style>${style}</style></head><body><main><h1>${escape(title)}</h1>${content}</main>${script}</body></html>`
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
