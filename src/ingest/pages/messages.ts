/** The words of the panel about DAQ machines. */
import { messagesOf } from '../../foundation/browser.tsx'

export const t = messagesOf({
  'agents.title': 'DAQ machines',
  'agents.none': 'No agent has reported yet. Runs can also arrive by plain S3.',
  'agents.working': 'working',
  'agents.silent': 'silent',
  'agents.heard': 'last heard',
  'agents.waiting':
    '{count, plural, =0 {nothing waits on its disk} one {# run waits on its disk} other {# runs wait on its disk}}',
  'agents.free': '{size} free',
})
