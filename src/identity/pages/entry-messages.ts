/** The words of signing in, and of letting applications and the command line in. */
import { messagesOf } from '../../foundation/browser.tsx'

const english = {
  'signIn.title': 'Sign in to Cygnet',
  'signIn.working': 'Checking your link…',
  'signIn.passkey': 'Sign in with a passkey',
  'signIn.passkeyHint': 'Fingerprint, face or the PIN of this device; no name to type.',
  'signIn.noPasskeys':
    'Passkeys do not work at this address ({host}): browsers need a host name with https for them. Use password and code, or a link.',
  'signIn.password': 'With password and code',
  'signIn.name': 'Account name',
  'signIn.secret': 'Password',
  'signIn.code': 'Code of your authenticator app',
  'signIn.codeHint': 'Six digits; a recovery code does as well.',
  'signIn.submit': 'Sign in',
  'signIn.lost': 'I have lost my phone or my passkey',
  'signIn.lostHow':
    'Use one of your recovery codes in place of the code; leave the password empty if you never set one. Without codes ask whoever invited you, a manager of your experiment or the site admin for a recovery link: it works once, for 30 minutes.',
  'signIn.codesLeft':
    '{count, plural, =0 {No recovery code is left: make new ones.} one {One recovery code is left.} other {# recovery codes are left.}}',
  'signIn.link': 'With a one-time link',
  'signIn.how':
    'Links work once. Ask the person who runs this platform for one, or, if that is you, print one on its machine:',
  'signIn.command': 'cygnet admin-link',
  'signIn.copy': 'Copy the command',
  'signIn.fresh': 'On a fresh platform the start command (cygnet up) prints the first link itself.',
  'signIn.failed': 'The link did not work',
  'signIn.failedHint':
    'Links work once and for a limited time; opening the same one twice is the usual reason. Sign in otherwise, or ask for a new one.',
  'signIn.already': 'You are signed in',
  'signIn.home': 'Go on',
  'grant.title': 'An application asks for access',
  'grant.asks': '{client} wants to act for you as {name}.',
  'grant.scopes': 'It asks for',
  'grant.from': 'Asked from',
  'grant.unknown': 'an unknown address',
  'grant.until': 'The request ends',
  'grant.approve': 'Approve',
  'grant.deny': 'Deny',
  'grant.approved': 'Approved. You can close this page and go on where you came from.',
  'grant.denied': 'Denied. Nothing was given.',
  'device.title': 'Confirm the command line',
  'device.code': 'Code shown in the terminal',
  'device.look': 'Look it up',
  'device.match': 'Approve only if you started this yourself and the terminal shows exactly this code.',
  'device.enter': 'Run `cygnet login` in a terminal; it shows a code. Enter it here.',
}

const italian: Record<keyof typeof english, string> = {
  'signIn.title': 'Accedi a Cygnet',
  'signIn.working': 'Controllo del link…',
  'signIn.passkey': 'Accedi con una passkey',
  'signIn.passkeyHint': 'Impronta, volto o PIN di questo dispositivo; nessun nome da scrivere.',
  'signIn.noPasskeys':
    'Le passkey non funzionano a questo indirizzo ({host}): i browser richiedono un nome di host con https. Usa password e codice, oppure un link.',
  'signIn.password': 'Con password e codice',
  'signIn.name': 'Nome dell’account',
  'signIn.secret': 'Password',
  'signIn.code': 'Codice dell’app di autenticazione',
  'signIn.codeHint': 'Sei cifre; va bene anche un codice di recupero.',
  'signIn.submit': 'Accedi',
  'signIn.lost': 'Ho perso il telefono o la passkey',
  'signIn.lostHow':
    'Usa uno dei tuoi codici di recupero al posto del codice; lascia vuota la password se non ne hai mai impostata una. Senza codici chiedi a chi ti ha invitato, a un responsabile dell’esperimento o all’amministratore un link di recupero: funziona una volta sola, per 30 minuti.',
  'signIn.codesLeft':
    '{count, plural, =0 {Non resta nessun codice di recupero: creane di nuovi.} one {Resta un codice di recupero.} other {Restano # codici di recupero.}}',
  'signIn.link': 'Con un link monouso',
  'signIn.how':
    'I link funzionano una volta sola. Chiedine uno a chi gestisce questa piattaforma oppure, se sei tu, stampane uno sulla sua macchina:',
  'signIn.command': 'cygnet admin-link',
  'signIn.copy': 'Copia il comando',
  'signIn.fresh': 'Su una piattaforma nuova il comando di avvio (cygnet up) stampa il primo link da sé.',
  'signIn.failed': 'Il link non ha funzionato',
  'signIn.failedHint':
    'I link funzionano una volta sola e per un tempo limitato; di solito è stato aperto due volte. Accedi in un altro modo o chiedine uno nuovo.',
  'signIn.already': 'Hai già effettuato l’accesso',
  'signIn.home': 'Continua',
  'grant.title': 'Un’applicazione chiede l’accesso',
  'grant.asks': '{client} vuole agire per te come {name}.',
  'grant.scopes': 'Chiede',
  'grant.from': 'Richiesto da',
  'grant.unknown': 'un indirizzo sconosciuto',
  'grant.until': 'La richiesta scade',
  'grant.approve': 'Approva',
  'grant.deny': 'Nega',
  'grant.approved': 'Approvato. Puoi chiudere questa pagina e continuare da dove venivi.',
  'grant.denied': 'Negato. Non è stato concesso nulla.',
  'device.title': 'Conferma la riga di comando',
  'device.code': 'Codice mostrato nel terminale',
  'device.look': 'Cerca',
  'device.match': 'Approva solo se l’hai avviato tu e il terminale mostra esattamente questo codice.',
  'device.enter': 'Esegui `cygnet login` in un terminale: mostra un codice. Scrivilo qui.',
}

export const t = messagesOf(english, { it: italian })
