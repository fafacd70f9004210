/** The words of the shared parts. */
import { messagesOf } from './messages.ts'

export const t = messagesOf({
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
})
