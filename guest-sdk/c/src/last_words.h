/// The end of a run that cannot go on. A component logs the sentence (`host/last_words.c`), a native test writes it to
/// stderr (`tests/last_words.c`).
#ifndef LLEM_LAST_WORDS_H
#define LLEM_LAST_WORDS_H

_Noreturn void llem_last_words(const char *sentence);

#endif
