/**
 * Which passwords are refused: too short, too long, or guessable. No list of leaked passwords is shipped. Those of twelve
 * characters and more are nearly all put together from common words, names, rows of keys, counting and years; so these are
 * taken away, and what is left must be at least six characters that nobody could have foreseen. No kinds of characters are
 * demanded and nothing ever expires (NIST SP 800-63B, 3.1.1.2). Pure; the page uses it too while somebody types.
 */

export const shortestPassword = 12
export const longestPassword = 128
const leastUnforeseen = 6

/** Words that lead the lists of leaked passwords, in English and Italian; each counts as one character. */
const commonWords = (
  'password motdepasse contrasena passwort passwd passphrase pass parola chiave segreto segreta secret secure security sicurezza ' +
  'admin administrator amministratore root user utente guest ospite login logon signin account accesso access ' +
  'welcome benvenuto hello ciao salve letmein iloveyou loveyou tiamo amore love amoremio heart cuore ' +
  'monkey dragon tiger lion eagle falcon cygnet swan horse dog cat cane gatto panther wolf bear shark butterfly ' +
  'princess principessa sunshine shadow master killer angel angelo devil diavolo batman superman spiderman starwars ' +
  'pokemon naruto matrix hunter ranger soldier warrior ninja samurai pirate football calcio baseball basketball ' +
  'soccer hockey golf tennis juventus inter milan roma lazio napoli liverpool arsenal chelsea barcelona ferrari ' +
  'mercedes porsche yamaha harley computer internet windows linux google facebook instagram microsoft apple iphone ' +
  'android samsung server network system database default changeme change temp temporary test testing tester example ' +
  'sample demo qwerty azerty asdf zxcv trustno whatever nothing something anything everything freedom liberta peace ' +
  'flower fiore star stella moon luna sun sole summer winter spring autumn estate inverno primavera autunno ' +
  'january february march april may june july august september october november december gennaio febbraio marzo ' +
  'aprile maggio giugno luglio agosto settembre ottobre novembre dicembre monday tuesday wednesday thursday friday ' +
  'saturday sunday lunedi martedi mercoledi giovedi venerdi sabato domenica black white green blue yellow purple ' +
  'orange silver golden rosso verde giallo azzurro bianco nero michael jordan jennifer jessica daniel thomas robert ' +
  'william george charlie andrew joshua matthew ashley nicole hannah samantha francesco francesca giuseppe giovanni ' +
  'antonio andrea marco matteo alessandro alessandra lorenzo leonardo giulia chiara federica valentina martina sara ' +
  'elena paolo luca simone davide stefano roberto maria italia italy france germany london paris roma rome berlin ' +
  'madrid america university universita institute istituto laboratory laboratorio science physics fisica detector ' +
  'experiment esperimento particle neutrino darkmatter darkside higgs boson quark photon electron proton cern infn ' +
  'lngs frascati sasso mamma papa mother father family famiglia friend amico baby bambino sweet honey lovely beautiful ' +
  'bella bello happy lucky money soldi power magic cookie chocolate cioccolato coffee pizza pasta cheese banana ' +
  'pepper ginger summer diamond crystal forever always never again please thank thanks grazie prego buongiorno music ' +
  'musica guitar chitarra rock metal jesus christ gesu blessed church god dio'
).split(' ')

const rows = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  'qazwsxedcrfvtgbyhnujmikolp',
  '!@#$%^&*()_+',
  '!"£$%&/()=?^',
]
/** Stands for a part that could be foreseen; from the private use area, so that nobody types it. */
const foreseen = '\uE000'
const marksBetween = /[\uE000\s._\-+*!?#,;:/&=@$]/gu
/** What people put in place of letters. */
const disguises: Record<string, string> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
}

export type PasswordFault = 'short' | 'long' | 'foreseeable'

/** `words`: the person's own names, the experiments', the platform's. */
export function passwordFault(password: string, words: readonly string[] = []): PasswordFault | undefined {
  const text = password.normalize('NFKC')
  const length = [...text].length
  if (length < shortestPassword) return 'short'
  if (length > longestPassword) return 'long'
  return unforeseen(text, words) < leastUnforeseen ? 'foreseeable' : undefined
}

/** How many characters are left when what can be foreseen counts as one character each. */
export function unforeseen(text: string, words: readonly string[] = []): number {
  const lower = text.toLowerCase()
  const own = words.flatMap((word) => word.toLowerCase().split(/[^\p{L}\p{N}]+/u)).filter((word) => word.length >= 3)
  const all = [...new Set([...commonWords, ...own, ...own.map(undisguised)])].sort((a, b) => b.length - a.length)
  const withoutYears = lower.replace(/(?:1[5-9]|20)\d\d/g, foreseen)
  return Math.min(leftOf(withoutYears, all), leftOf(undisguised(withoutYears), all))
}

function leftOf(text: string, words: readonly string[]): number {
  let rest = text
  for (const word of words) rest = rest.replaceAll(word, foreseen)
  rest = withoutRows(rest)
  // A block that comes again and again ('xyxyxy', 'kk') says nothing new.
  rest = rest.replace(/(.{1,12}?)\1+/gsu, '$1')
  // Marks between words, and the foreseen parts themselves, are hardly a choice.
  const marks = rest.match(marksBetween)?.length ?? 0
  const kinds = new Set(rest.replace(marksBetween, '')).size
  const others = [...rest].length - marks
  return Math.min(others, kinds * 2) + Math.min(marks, 3)
}

/** Three keys and more in a row, in either direction, become one mark. */
function withoutRows(text: string): string {
  let out = ''
  for (let at = 0; at < text.length;) {
    const run = longestRun(text, at)
    out += run >= 3 ? foreseen : text[at]!
    at += run >= 3 ? run : 1
  }
  return out
}

function longestRun(text: string, at: number): number {
  let longest = 1
  for (const row of rowsBothWays) {
    let length = 1
    while (at + length < text.length && row.includes(text.slice(at, at + length + 1))) length += 1
    longest = Math.max(longest, length)
  }
  return longest
}

const rowsBothWays = rows.flatMap((row) => [row, [...row].reverse().join('')])

function undisguised(text: string): string {
  return [...text].map((character) => disguises[character] ?? character).join('')
}
