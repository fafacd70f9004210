/** How to write to me, in which language, and until when I am here. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Answer, Facts, Moment, Panel, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './join-messages.ts'

type Contact = Awaited<ReturnType<ReturnType<typeof apiOf<typeof identityContract>>['showContact']>>

export function ContactPanel(): ReactNode {
  const contact = useAnswer(['identity', 'contact'], (signal) => apiOf(identityContract).showContact({}, { signal }))
  return (
    <Panel title={t('contact.title')}>
      <Answer to={contact}>{(data) => <ContactForm key={`${data.email} ${data.language}`} contact={data} />}</Answer>
    </Panel>
  )
}

function ContactForm(props: { contact: Contact }): ReactNode {
  const { contact } = props
  const queries = useQueryClient()
  const [email, setEmail] = useState(contact.email ?? '')
  const [language, setLanguage] = useState(contact.language)
  const save = useMutation({
    mutationFn: () =>
      apiOf(identityContract).setContact({
        body: { email: email.trim() === '' ? null : email.trim(), language: language === 'it' ? 'it' : 'en' },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity', 'contact'] }),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <div className="cy-stack">
      <Facts
        items={[
          [
            t('contact.until'),
            contact.accessEndMs === null ? undefined : <Moment key="end" atMs={contact.accessEndMs} />,
          ],
          [t('contact.sponsor'), contact.sponsor],
        ]}
      />
      <p className="cy-quiet">{contact.mailGoesOut ? t('contact.hint') : t('contact.noMail')}</p>
      <form onSubmit={submit} className="cy-filters">
        <TextInput
          size="xs"
          type="email"
          label={t('contact.email')}
          autoComplete="email"
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          label={t('contact.language')}
          value={language}
          onChange={(event) => setLanguage(event.currentTarget.value)}
          data={[
            { value: 'en', label: 'English' },
            { value: 'it', label: 'Italiano' },
          ]}
        />
        <Button size="xs" type="submit" variant="default" loading={save.isPending}>
          {t('contact.save')}
        </Button>
        {save.isSuccess && <span role="status">{t('contact.saved')}</span>}
        {contact.verified && <span className="cy-quiet cy-small">{t('contact.verified')}</span>}
      </form>
      {save.error !== null && <Problem error={save.error} />}
    </div>
  )
}
