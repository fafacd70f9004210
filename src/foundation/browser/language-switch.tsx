/** Which language the pages are in; stands on every page that is reached without signing in, and in the person's menu. */
import type { ReactNode } from 'react'
import { chooseLanguage, languages, useLanguage, type Language } from './language.ts'
import { t } from './words.ts'

export function LanguageSwitch(): ReactNode {
  const current = useLanguage()
  return (
    <div className="cy-row cy-small" role="group" aria-label={t('language.choose')}>
      {(Object.keys(languages) as Language[]).map((language) => (
        <button
          key={language}
          type="button"
          lang={language}
          className="cy-language"
          aria-pressed={language === current}
          onClick={() => chooseLanguage(language)}
        >
          {languages[language]}
        </button>
      ))}
    </div>
  )
}
