/** The words of machines with keys of their own: for people who run an experiment. */
import { messagesOf } from '../../foundation/browser.tsx'

export const t = messagesOf({
  'machines.owners': 'Owners',
  'machines.noOwner': 'nobody answers for it',
  'machines.ends': 'Ends',
  'machines.keys': 'Keys',
  'machines.noKeys': 'access key only',
  'machines.renew': 'Renew for 400 days',
  'machines.enrol': 'A machine makes its own key with this command; the code it shows is confirmed here:',
  'machines.asks': 'A machine asks to be registered',
  'machines.name': 'Machine',
  'machines.experiment': 'Experiment',
  'machines.fingerprint': 'Its key',
  'machines.from': 'Asked from',
  'machines.known': 'A machine of this name is registered: approving gives it a further key.',
  'machines.compare': 'Approve only if the machine shows exactly this code and this key.',
  'machines.second': 'Second owner',
  'machines.nobody': 'nobody else',
  'machines.approve': 'Register',
  'machines.deny': 'Deny',
  'machines.approved': 'Registered. The machine goes on by itself.',
  'machines.denied': 'Denied. Nothing was registered.',
  'machines.copy': 'Copy the command',
})
