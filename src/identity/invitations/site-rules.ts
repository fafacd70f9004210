/** The rules that hold until a site publishes its own. Short, so that they are read. */
const english = `1. Use this platform for the work you were invited to, and for nothing else.
2. Your account is yours alone: share neither passwords nor keys nor links to sign in.
3. Data of the experiment stay inside it. Ask before you publish or pass anything on.
4. Leave to others what is theirs: files, jobs, sessions, computing time.
5. Tell your sponsor or the administrator at once when something looks wrong, a lost laptop included.
6. What you do here is recorded with your name, the time and the address, to keep the platform safe; administrators and auditors of your experiment can read that record.
7. Kept about you: your name, your address if you gave one, and who invited you. When your access ends you may read for 14 more days; then your account is closed, your files pass to the experiment, and after a year your name is replaced by a number.
8. Nobody promises that the platform is always there. Keep copies of what you could not make again.`

const italian = `1. Usa questa piattaforma per il lavoro a cui sei stato invitato, e per nient’altro.
2. Il tuo account è solo tuo: non condividere password, chiavi o link di accesso.
3. I dati dell’esperimento restano al suo interno. Chiedi prima di pubblicare o trasmettere qualcosa.
4. Lascia agli altri ciò che è loro: file, lavori, sessioni, tempo di calcolo.
5. Avvisa subito il tuo referente o l’amministratore se qualcosa non va, anche per un portatile smarrito.
6. Ciò che fai qui viene registrato con il tuo nome, l’ora e l’indirizzo, per proteggere la piattaforma; amministratori e revisori del tuo esperimento possono leggere questo registro.
7. Di te conserviamo: il nome, l’indirizzo se lo hai dato, e chi ti ha invitato. Finito l’accesso puoi leggere ancora per 14 giorni; poi l’account viene chiuso, i tuoi file passano all’esperimento e dopo un anno il tuo nome è sostituito da un numero.
8. Nessuno garantisce che la piattaforma sia sempre disponibile. Tieni una copia di ciò che non potresti rifare.`

export function currentTermsText(language: string): string {
  return language === 'it' ? italian : english
}
