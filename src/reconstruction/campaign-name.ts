/** Names of campaigns. Runs in browsers and in Node. */
import { z } from 'zod'

/** The campaign every closed run is reconstructed in without anybody asking. It always exists. */
export const automaticCampaign = 'main'

/** First parts of keys in the products' bucket that belong to something else. */
const takenNames = ['calibration', 'studies']

export const campaignName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'a campaign is 1 to 63 of a-z 0-9 . _ - and starts with a letter or digit')
  .refine((name) => !takenNames.includes(name), 'this name is taken')
