/** The words of the shared parts. */
import { messagesOf } from './messages.ts'

const english = {
  'waiting.now': 'Loading…',
  'waiting.long': 'This takes longer than usual. Nothing is lost; the answer appears here as soon as it is there.',
  'problem.title': 'This could not be shown',
  'problem.kept': 'What you see below is from {age}; trying again.',
  'problem.unreachable': 'The platform does not answer',
  'problem.unreachableHint': 'Recording and running work do not depend on this page. It tries again by itself.',
  'problem.retry': 'Try again',
  'problem.copy': 'Copy reference',
  'problem.unexpected': 'An unexpected error',
  'copy.done': 'Copied',
  'copy.blocked': 'The browser refused to copy; the text is selected, press Ctrl-C.',
  'pager.more': 'Show more',
  'pager.shown': '{shown} shown',
  'pager.shownOf': '{shown} of {total}',
  'panel.failed': 'This panel stopped working; the rest of the page is fine.',
  'plot.table': 'As a table',
  'plot.from': 'from',
  'plot.to': 'to',
  'plot.count': 'entries',
  'plot.none': 'Nothing to plot yet.',
  'language.choose': 'Language',
}

const italian = {
  'waiting.now': 'Caricamento…',
  'waiting.long': 'Ci vuole più del solito. Nulla è perso; la risposta appare qui appena arriva.',
  'problem.title': 'Impossibile mostrarlo',
  'problem.kept': 'Quello che vedi sotto è di {age} fa; riprovo.',
  'problem.unreachable': 'La piattaforma non risponde',
  'problem.unreachableHint': 'La presa dati e i lavori in corso non dipendono da questa pagina, che riprova da sola.',
  'problem.retry': 'Riprova',
  'problem.copy': 'Copia il riferimento',
  'problem.unexpected': 'Errore inatteso',
  'copy.done': 'Copiato',
  'copy.blocked': 'Il browser non permette di copiare; il testo è selezionato, premi Ctrl-C.',
  'pager.more': 'Mostra altri',
  'pager.shown': '{shown} mostrati',
  'pager.shownOf': '{shown} di {total}',
  'panel.failed': 'Questo riquadro non funziona più; il resto della pagina sì.',
  'plot.table': 'Come tabella',
  'plot.from': 'da',
  'plot.to': 'a',
  'plot.count': 'conteggi',
  'plot.none': 'Ancora nulla da disegnare.',
  'language.choose': 'Lingua',
}

export const t = messagesOf(english, { it: italian })
