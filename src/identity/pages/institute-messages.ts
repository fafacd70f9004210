/** Words about signing in by an institute: a stranger meets them first, so they are Italian too. */
import { messagesOf } from '../../foundation/browser.tsx'

const english = {
  'institute.title': 'Sign in by your institute',
  'institute.with': 'Sign in with {institute}',
  'institute.joinWith': 'Accept with {institute}',
  'institute.linkWith': 'Link {institute}',
  'institute.back': 'Reading what your institute said…',
  'institute.failed': 'That did not work',
  'institute.again': 'Start again',
  'institute.saidNo': 'The institute did not sign you in.',
  'institute.noAnswer':
    'The institute does not answer right now. Nothing is wrong with your account; try again in a minute.',
  'institute.refused':
    'What the institute said was not accepted, to be on the safe side. Start again; if it happens twice, tell the person who runs this platform.',
  'institute.disabled': 'Nobody can sign in by this institute at present.',
  'institute.over': 'This sign-in is over, or was begun in another browser.',
  'institute.taken':
    'This identity of the institute is linked to another account here. Sign in with it to see which; unlink it there first.',
  'institute.notInvited': 'Nobody has invited you yet',
  'institute.known':
    '{institute} knows you as {knownAs}, and you have signed in there correctly. But nobody has invited you to this platform, and no group of yours opens it.',
  'institute.ask': 'Send this to somebody you work with here; any manager of an experiment can invite you in a minute:',
  'institute.request': 'Please invite me to {platform}. At {institute} I am {knownAs} ({subject}).',
  'institute.copy': 'Copy the text',
  'institute.haveAccount':
    'You have an account here already, by another way in? Sign in that way and link this identity on the page Me.',
  'institute.otherWay': 'Sign in another way',
  'institute.newcomer': 'Welcome',
  'institute.gives': 'Your groups at {institute} give you here',
  'institute.invitation': 'Your invitation gives you here',
  'institute.choose':
    'Choose your account name. It stays yours for good and cannot be changed: it is your name in files, jobs and paths.',
  'institute.name': 'Account name',
  'institute.nameHint': 'two to twenty small letters and digits, a letter first',
  'institute.fullName': 'Full name',
  'institute.begin': 'Begin',
  'institute.confirmTitle': 'Link these two?',
  'institute.confirm':
    'From now on whoever signs in at {institute} as {knownAs} is signed in here as {name} ({account}).',
  'institute.notYou': 'Say yes only if both are you.',
  'institute.yes': 'Yes, link them',
  'institute.no': 'No',
  'institute.linked': '{knownAs} of {institute} is linked to your account.',
  'institute.toMe': 'Back to Me',
  'institute.signedOut': 'You are signed out here',
  'institute.stillThere':
    'You may still be signed in at {institute}. On a computer that others use, sign out there too.',
  'institute.signOutThere': 'Sign out at {institute}',
  'institute.done': 'Done',
  'identities.title': 'Institutes that sign me in',
  'identities.none': 'None is linked. Link one, and you sign in here with your institute account.',
  'identities.institute': 'Institute',
  'identities.as': 'Known there as',
  'identities.since': 'Linked',
  'identities.used': 'Last sign-in',
  'identities.checked': 'Groups checked',
  'identities.disabled': 'switched off by the administrator',
  'identities.unlink': 'Unlink',
  'identities.unlinkSure': 'Unlink now; what came from there ends',
}

const italian: Record<keyof typeof english, string> = {
  'institute.title': 'Accedi con il tuo istituto',
  'institute.with': 'Accedi con {institute}',
  'institute.joinWith': 'Accetta con {institute}',
  'institute.linkWith': 'Collega {institute}',
  'institute.back': 'Leggiamo la risposta del tuo istituto…',
  'institute.failed': 'Non ha funzionato',
  'institute.again': 'Ricomincia',
  'institute.saidNo': 'L’istituto non ti ha fatto accedere.',
  'institute.noAnswer': 'L’istituto ora non risponde. Il tuo account è a posto; riprova tra un minuto.',
  'institute.refused':
    'Per sicurezza la risposta dell’istituto non è stata accettata. Ricomincia; se succede ancora, avvisa chi gestisce questa piattaforma.',
  'institute.disabled': 'Al momento non si può accedere con questo istituto.',
  'institute.over': 'Questo accesso è scaduto, o è stato iniziato in un altro browser.',
  'institute.taken':
    'Questa identità dell’istituto è collegata a un altro account qui. Accedi con essa per vedere quale; prima scollegala lì.',
  'institute.notInvited': 'Nessuno ti ha ancora invitato',
  'institute.known':
    '{institute} ti conosce come {knownAs} e lì hai fatto l’accesso correttamente. Ma nessuno ti ha invitato su questa piattaforma, e nessun tuo gruppo la apre.',
  'institute.ask':
    'Manda questo testo a qualcuno con cui lavori qui; chi gestisce un esperimento può invitarti in un minuto:',
  'institute.request': 'Per favore invitami su {platform}. Per {institute} sono {knownAs} ({subject}).',
  'institute.copy': 'Copia il testo',
  'institute.haveAccount':
    'Hai già un account qui, con un altro modo di accesso? Entra in quel modo e collega questa identità nella pagina personale.',
  'institute.otherWay': 'Accedi in un altro modo',
  'institute.newcomer': 'Ti diamo il benvenuto',
  'institute.gives': 'I tuoi gruppi di {institute} qui ti danno',
  'institute.invitation': 'Il tuo invito qui ti dà',
  'institute.choose':
    'Scegli il nome del tuo account. Resta tuo per sempre e non si può cambiare: è il tuo nome in file, job e percorsi.',
  'institute.name': 'Nome dell’account',
  'institute.nameHint': 'da due a venti lettere minuscole e cifre, prima una lettera',
  'institute.fullName': 'Nome e cognome',
  'institute.begin': 'Comincia',
  'institute.confirmTitle': 'Colleghiamo queste due identità?',
  'institute.confirm': 'Da ora chi accede a {institute} come {knownAs} entra qui come {name} ({account}).',
  'institute.notYou': 'Rispondi sì solo se entrambe sono tue.',
  'institute.yes': 'Sì, collegale',
  'institute.no': 'No',
  'institute.linked': '{knownAs} di {institute} è collegata al tuo account.',
  'institute.toMe': 'Torna alla tua pagina',
  'institute.signedOut': 'Qui sei uscito',
  'institute.stillThere':
    'A {institute} potresti avere ancora l’accesso aperto. Se usi un computer di tutti, esci anche lì.',
  'institute.signOutThere': 'Esci da {institute}',
  'institute.done': 'Fatto',
  'identities.title': 'Istituti con cui accedo',
  'identities.none': 'Nessuno è collegato. Collegane uno per accedere qui con l’account del tuo istituto.',
  'identities.institute': 'Istituto',
  'identities.as': 'Lì ti chiami',
  'identities.since': 'Collegata',
  'identities.used': 'Ultimo accesso',
  'identities.checked': 'Gruppi controllati',
  'identities.disabled': 'disattivato da chi amministra',
  'identities.unlink': 'Scollega',
  'identities.unlinkSure': 'Scollega ora; ciò che ne veniva finisce',
}

export const t = messagesOf(english, { it: italian })
