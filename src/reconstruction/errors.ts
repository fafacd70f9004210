/** Everything this room can refuse, with what happened; the hint says what to do. */
import { catalogue } from '../foundation/errors.ts'

export const reconstructionFaults = catalogue('reconstruction', {
  noSuchRun: { status: 404, title: 'No such run' },
  notReconstructed: { status: 404, title: 'Not reconstructed in this campaign' },
  noSuchEvent: { status: 404, title: 'No such event in the run' },
  noSuchCamera: { status: 404, title: 'No such camera in the event' },
  noPedestal: { status: 409, title: 'No pedestal valid for this run' },
  noFile: { status: 409, title: 'The run has no file that can be read now' },
  unreadableRun: { status: 422, title: 'The run file cannot be read' },
  tooFewImages: { status: 422, title: 'Too few images for a pedestal map' },
  unreadablePedestal: { status: 422, title: 'Not a pedestal map' },
  sizeMismatch: { status: 409, title: 'Image and pedestal map differ in size' },
  badRunName: { status: 400, title: 'Not a run name' },
  productsMissing: { status: 409, title: 'The products of this campaign are not in the store' },
  jobWithoutProducts: { status: 500, title: 'The job ended without the files it promised' },
})
