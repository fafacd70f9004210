/** What the mails say, in English and Italian. Plain text: no tracking, nothing to load. */
import { printTime } from '../../foundation/time.ts'

/** What each mail is told. */
export interface MailData {
  invitation: {
    site: string
    sponsor: string
    experiment: string
    group: string
    message: string
    url: string
    expiresAtMs: number
    accessEndMs: number | null
  }
  'guest-joined': { guest: string; account: string; group: string; url: string }
  'join-waits': { guest: string; email: string; issuer: string; addressedTo: string; group: string; url: string }
  'invitation-declined': { group: string; addressedTo: string }
  'access-ends': { experiment: string; days: number; endMs: number; sponsor: string | null }
  'guest-access-ends': { guest: string; experiment: string; days: number; endMs: number; url: string }
  'access-ended': { untilMs: number; sponsor: string | null }
  'account-closed': { site: string }
  'sponsor-left': { sponsor: string; untilMs: number }
  'identity-linked': { institute: string; label: string; account: string; url: string }
  'identity-unlinked': { institute: string; label: string; account: string; url: string }
  'factors-changed': { what: FactorChange; label: string; account: string; url: string }
  'factors-removed': { by: string; account: string }
  'role-passed-on': { person: string; group: string; url: string }
  'client-owner-left': { person: string; client: string; url: string }
  'request-confirm': { experiment: string; url: string; site: string }
  'request-arrived': { applicant: string; experiment: string; url: string }
  'request-approved': { experiment: string; url: string; known: boolean; expiresAtMs: number | null }
  'request-rejected': { experiment: string; reason: string }
  'glass-broken': { admin: string; experiment: string; reason: string; untilMs: number; url: string }
}
export type MailTemplate = keyof MailData
export type FactorChange = 'passkey-added' | 'passkey-removed' | 'password-set' | 'password-removed' | 'app-confirmed'

type Words = { [Template in MailTemplate]: (data: MailData[Template]) => [subject: string, ...lines: string[]] }

const english: Words = {
  invitation: ({ sponsor, group, message, url, expiresAtMs, accessEndMs, site }) => [
    `${sponsor} invites you to ${group}`,
    `${sponsor} invites you to work in ${group} on ${site}.`,
    ...(message === '' ? [] : [`"${message}"`]),
    `Open this link; it explains everything and asks before anything happens:\n${url}`,
    `The link works once, until ${printTime(expiresAtMs)}.${accessEndMs === null ? '' : ` Your access would last until ${printTime(accessEndMs)}.`}`,
    'You need no account of any institute. If you do not know the sender, ignore this mail.',
  ],
  'guest-joined': ({ guest, account, group, url }) => [
    `${guest} has joined ${group}`,
    `${guest} (account ${account}) has accepted your invitation to ${group}. If that is not whom you meant, end the access here:\n${url}`,
  ],
  'join-waits': ({ guest, email, issuer, addressedTo, group, url }) => [
    `Is this whom you invited to ${group}?`,
    `You invited ${addressedTo}. Somebody whom ${issuer} knows as ${guest} <${email}> wants to accept.`,
    `Nobody is let in before you say, by name, who it is:\n${url}`,
  ],
  'invitation-declined': ({ group, addressedTo }) => [
    'Your invitation was declined',
    `The invitation of ${addressedTo} to ${group} was declined.`,
  ],
  'access-ends': ({ experiment, days, endMs, sponsor }) => [
    `Your access ends in ${daysOf(days, 'en')}`,
    `Your access to ${experiment} ends at ${printTime(endMs)}. Afterwards you can read for 14 more days.`,
    sponsor === null ? 'Ask somebody of the experiment to renew it.' : `${sponsor} can renew it with one click.`,
  ],
  'guest-access-ends': ({ guest, experiment, days, endMs, url }) => [
    `The access of ${guest} ends in ${daysOf(days, 'en')}`,
    `${guest} is your guest in ${experiment}; the access ends at ${printTime(endMs)}. Renew it with one click, or let it end:\n${url}`,
  ],
  'access-ended': ({ untilMs, sponsor }) => [
    'Your access has ended',
    `You can read until ${printTime(untilMs)}; then the account is closed. Save what is yours.`,
    sponsor === null ? 'Somebody of the experiment can renew it.' : `${sponsor} can renew it with one click.`,
  ],
  'account-closed': ({ site }) => [
    'Your account is closed',
    `Your account on ${site} is closed. Your sponsor can open it again within 90 days; then your files pass to the experiment.`,
  ],
  'sponsor-left': ({ sponsor, untilMs }) => [
    'Your sponsor has left',
    `${sponsor}, who answered for you, has left. Ask somebody else of the experiment to take you over before ${printTime(untilMs)}; that is one click.`,
  ],
  'identity-linked': ({ institute, label, account, url }) => [
    `A new way to sign in as ${account}`,
    `${label} of ${institute} can now sign in as ${account}. If that was not you, remove it here and tell the administrator:\n${url}`,
  ],
  'identity-unlinked': ({ institute, label, account, url }) => [
    `One way less to sign in as ${account}`,
    `${label} of ${institute} can no longer sign in as ${account}. If that was not you, look here and tell the administrator:\n${url}`,
  ],
  'factors-changed': ({ what, label, account, url }) => [
    `How ${account} signs in has changed`,
    {
      'passkey-added': `The passkey '${label}' can now sign in as ${account}.`,
      'passkey-removed': `The passkey '${label}' can no longer sign in as ${account}.`,
      'password-set': `${account} has a new password.`,
      'password-removed': `${account} has no password and no authenticator app any more.`,
      'app-confirmed': `${account} has a new authenticator app.`,
    }[what],
    `If that was not you, sign out everywhere and tell the administrator:\n${url}`,
  ],
  'factors-removed': ({ by, account }) => [
    `Everything by which ${account} signed in was removed`,
    `${by} has removed all passkeys, the password and the recovery codes of ${account}, and made a recovery link.`,
    'If you did not ask for that, tell the administrator of the site now.',
  ],
  'role-passed-on': ({ person, group, url }) => [
    `${group} has lost a manager`,
    `${person} has left. ${group} is now in your hands:\n${url}`,
  ],
  'client-owner-left': ({ person, client, url }) => [
    `The machine ${client} has lost an owner`,
    `${person}, an owner of the machine ${client}, has left. It needs two:\n${url}`,
  ],
  'request-confirm': ({ experiment, url, site }) => [
    `Confirm your request for ${experiment}`,
    `Somebody asked for an experiment named ${experiment} on ${site} with this address. If it was you, confirm it:\n${url}`,
    'If it was not you, do nothing.',
  ],
  'request-arrived': ({ applicant, experiment, url }) => [
    `Request for an experiment: ${experiment}`,
    `${applicant} asks for the experiment ${experiment}. Decide here:\n${url}`,
  ],
  'request-approved': ({ experiment, url, known, expiresAtMs }) => [
    `Your experiment ${experiment} is there`,
    `The experiment ${experiment} has been made, and you run it.`,
    known ? `Open it:\n${url}` : `Come in by this link; it works once, until ${printTime(expiresAtMs ?? 0)}:\n${url}`,
  ],
  'request-rejected': ({ experiment, reason }) => [
    `Your request for ${experiment}`,
    `The experiment ${experiment} was not made. The administrator says:\n${reason}`,
  ],
  'glass-broken': ({ admin, experiment, reason, untilMs, url }) => [
    `${admin} reads in ${experiment}`,
    `The site admin ${admin} has taken a right to read the data and the logbook of ${experiment}, until ${printTime(untilMs)}. The reason given:\n${reason}`,
    `You can end it at any time:\n${url}`,
  ],
}

const italian: Words = {
  invitation: ({ sponsor, group, message, url, expiresAtMs, accessEndMs, site }) => [
    `${sponsor} ti invita in ${group}`,
    `${sponsor} ti invita a lavorare in ${group} su ${site}.`,
    ...(message === '' ? [] : [`"${message}"`]),
    `Apri questo link: spiega tutto e chiede prima di fare qualsiasi cosa:\n${url}`,
    `Il link funziona una volta sola, fino al ${printTime(expiresAtMs)}.${accessEndMs === null ? '' : ` L’accesso durerebbe fino al ${printTime(accessEndMs)}.`}`,
    'Non serve l’account di nessun istituto. Se non conosci il mittente, ignora questo messaggio.',
  ],
  'guest-joined': ({ guest, account, group, url }) => [
    `${guest} è entrato in ${group}`,
    `${guest} (account ${account}) ha accettato il tuo invito in ${group}. Se non è la persona che intendevi, chiudi l’accesso qui:\n${url}`,
  ],
  'join-waits': ({ guest, email, issuer, addressedTo, group, url }) => [
    `È la persona che hai invitato in ${group}?`,
    `Hai invitato ${addressedTo}. Vuole accettare qualcuno che ${issuer} conosce come ${guest} <${email}>.`,
    `Nessuno entra prima che tu dica, per nome, chi è:\n${url}`,
  ],
  'invitation-declined': ({ group, addressedTo }) => [
    'Il tuo invito è stato rifiutato',
    `L’invito di ${addressedTo} in ${group} è stato rifiutato.`,
  ],
  'access-ends': ({ experiment, days, endMs, sponsor }) => [
    `Il tuo accesso finisce tra ${daysOf(days, 'it')}`,
    `Il tuo accesso a ${experiment} finisce il ${printTime(endMs)}. Poi potrai ancora leggere per 14 giorni.`,
    sponsor === null ? 'Chiedi a qualcuno dell’esperimento di rinnovarlo.' : `${sponsor} può rinnovarlo con un clic.`,
  ],
  'guest-access-ends': ({ guest, experiment, days, endMs, url }) => [
    `L’accesso di ${guest} finisce tra ${daysOf(days, 'it')}`,
    `${guest} è tuo ospite in ${experiment}; l’accesso finisce il ${printTime(endMs)}. Rinnovalo con un clic o lascialo finire:\n${url}`,
  ],
  'access-ended': ({ untilMs, sponsor }) => [
    'Il tuo accesso è finito',
    `Puoi leggere fino al ${printTime(untilMs)}; poi l’account viene chiuso. Salva ciò che è tuo.`,
    sponsor === null ? 'Qualcuno dell’esperimento può rinnovarlo.' : `${sponsor} può rinnovarlo con un clic.`,
  ],
  'account-closed': ({ site }) => [
    'Il tuo account è chiuso',
    `Il tuo account su ${site} è chiuso. Il tuo referente può riaprirlo entro 90 giorni; poi i tuoi file passano all’esperimento.`,
  ],
  'sponsor-left': ({ sponsor, untilMs }) => [
    'Il tuo referente è andato via',
    `${sponsor}, che rispondeva per te, è andato via. Chiedi a qualcun altro dell’esperimento di prenderti in carico prima del ${printTime(untilMs)}: basta un clic.`,
  ],
  'identity-linked': ({ institute, label, account, url }) => [
    `Un nuovo modo di entrare come ${account}`,
    `${label} di ${institute} può ora entrare come ${account}. Se non sei stato tu, toglilo qui e avvisa l’amministratore:\n${url}`,
  ],
  'identity-unlinked': ({ institute, label, account, url }) => [
    `Un modo in meno di entrare come ${account}`,
    `${label} di ${institute} non può più entrare come ${account}. Se non sei stato tu, controlla qui e avvisa l’amministratore:\n${url}`,
  ],
  'factors-changed': ({ what, label, account, url }) => [
    `È cambiato il modo in cui accede ${account}`,
    {
      'passkey-added': `La passkey «${label}» può ora accedere come ${account}.`,
      'passkey-removed': `La passkey «${label}» non può più accedere come ${account}.`,
      'password-set': `${account} ha una nuova password.`,
      'password-removed': `${account} non ha più né password né app di autenticazione.`,
      'app-confirmed': `${account} ha una nuova app di autenticazione.`,
    }[what],
    `Se non sei stato tu, esci dappertutto e avvisa l’amministratore:\n${url}`,
  ],
  'factors-removed': ({ by, account }) => [
    `È stato rimosso tutto ciò con cui accedeva ${account}`,
    `${by} ha rimosso tutte le passkey, la password e i codici di recupero di ${account}, e ha creato un link di recupero.`,
    'Se non l’hai chiesto tu, avvisa subito l’amministratore del sito.',
  ],
  'role-passed-on': ({ person, group, url }) => [
    `${group} ha perso un responsabile`,
    `${person} è andato via. ${group} è ora nelle tue mani:\n${url}`,
  ],
  'client-owner-left': ({ person, client, url }) => [
    `La macchina ${client} ha perso un proprietario`,
    `${person}, proprietario della macchina ${client}, è andato via. Ne servono due:\n${url}`,
  ],
  'request-confirm': ({ experiment, url, site }) => [
    `Conferma la richiesta di ${experiment}`,
    `Qualcuno ha chiesto un esperimento di nome ${experiment} su ${site} con questo indirizzo. Se sei stato tu, conferma:\n${url}`,
    'Altrimenti non fare nulla.',
  ],
  'request-arrived': ({ applicant, experiment, url }) => [
    `Richiesta di un esperimento: ${experiment}`,
    `${applicant} chiede l’esperimento ${experiment}. Decidi qui:\n${url}`,
  ],
  'request-approved': ({ experiment, url, known, expiresAtMs }) => [
    `Il tuo esperimento ${experiment} è pronto`,
    `L’esperimento ${experiment} è stato creato e lo gestisci tu.`,
    known
      ? `Aprilo:\n${url}`
      : `Entra con questo link; funziona una volta sola, fino al ${printTime(expiresAtMs ?? 0)}:\n${url}`,
  ],
  'request-rejected': ({ experiment, reason }) => [
    `La tua richiesta di ${experiment}`,
    `L’esperimento ${experiment} non è stato creato. L’amministratore dice:\n${reason}`,
  ],
  'glass-broken': ({ admin, experiment, reason, untilMs, url }) => [
    `${admin} legge in ${experiment}`,
    `L’amministratore del sito ${admin} ha preso il diritto di leggere i dati e il logbook di ${experiment}, fino al ${printTime(untilMs)}. Il motivo indicato:\n${reason}`,
    `Puoi farlo finire in qualsiasi momento:\n${url}`,
  ],
}

function daysOf(days: number, language: 'en' | 'it'): string {
  if (language === 'it') return days === 1 ? '1 giorno' : `${days} giorni`
  return days === 1 ? '1 day' : `${days} days`
}

/** Subjects are one line, whatever somebody calls himself. */
export function wordsOfMail<Template extends MailTemplate>(
  template: Template,
  language: string,
  data: MailData[Template],
): { subject: string; text: string } {
  const [subject, ...lines] = (language === 'it' ? italian : english)[template](data)
  return {
    subject: subject.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ').slice(0, 200),
    text: `${lines.join('\n\n')}\n`,
  }
}
