"""What else a word can be in a text: its irregular forms, its other spelling, everyday words for much the same.

Closed lists of general English, on purpose: what they hold is known, and a search gives the same everywhere.
"""

import re
from collections.abc import Iterator

from mnesis.llm.words import forms

_IRREGULAR = """
    become became; bite bit bitten; blow blew blown; break broke broken; burn burnt; catch caught; deal dealt;
    dig dug; dream dreamt; drink drank drunk; feed fed; fight fought; forgive forgave forgiven; freeze froze
    frozen; hang hung; hear heard; hide hid hidden; lay laid; lean leant; learn learnt; lend lent; light lit;
    ride rode ridden; ring rang rung; rise rose risen; seek sought; shake shook shaken; shine shone; shoot shot;
    shrink shrank shrunk; sink sank sunk; sit sat; sleep slept; smell smelt; spell spelt; spill spilt; split;
    spoil spoilt; spread; stand stood; steal stole stolen; stick stuck; sting stung; strike struck; swear swore
    sworn; sweep swept; swim swam swum; swing swung; tear tore torn; wake woke woken; weep wept; foot feet;
    tooth teeth; mouse mice; goose geese; knife knives; life lives; wife wives; leaf leaves; half halves; shelf
    shelves
"""
_ALIKE = """
    home house flat apartment; live move reside; job work career profession position occupation; firm company
    employer business; boss manager; colleague coworker; hire employ; quit resign leave; salary wage pay; money
    cash; buy purchase; cost price expense; cheap inexpensive; film movie; song music tune; photo picture image;
    book novel; painting drawing artwork art; show concert gig performance; car vehicle automobile; bike bicycle
    cycling; trip travel journey vacation holiday; plane flight; hotel accommodation; city town; country nation;
    doctor physician; ill sick unwell; injury injure hurt wound sprain; medicine drug medication; recover heal;
    stress anxiety worry; relax unwind calm; kid child; mother mum mom; father dad; husband wife spouse partner;
    brother sister sibling; relative family; friend buddy; baby infant; grandmother grandma; grandfather
    grandpa; pet animal dog cat puppy kitten; meal food dish dinner lunch; cook bake; drink beverage; restaurant
    cafe; dessert cake; school university college; class course lesson; teacher instructor tutor; exam test;
    learn study; gift present; party celebration celebrate; wedding marriage marry; birthday anniversary; sport
    exercise workout; game match; win victory; race marathon; hobby pastime activity; instrument guitar piano
    violin; team club group; begin start; end finish stop; repair fix mend; error bug defect fault failure;
    crash fail; delete remove; create make build; big large; small little; fast quick; favourite best; happy
    glad pleased; sad unhappy; angry mad; afraid scared fear; difficult hard; problem trouble challenge issue;
    answer reply respond response; choose select pick decide; help support assist; clothes clothing dress; shop
    store; street road; sea ocean beach; forest woods; mountain hill; rubbish trash garbage; phone mobile;
    computer laptop; mail letter; password passcode passphrase; meeting appointment; deadline due
"""


def _groups(text: str) -> Iterator[tuple[str, ...]]:
    return (tuple(group.split()) for group in text.split(";"))


_FORMS = {form: group for group in _groups(_IRREGULAR) for form in group}
_OTHERS = {word: tuple(each for each in group if each != word) for group in _groups(_ALIKE) for word in group}

# British to American; the other way round where that is as plain.
_SPELLINGS = (
    (re.compile(r"(?<=[a-z]{2}[bdlmnv])our(?=(?:s|ed|ing|able|ite|ites|ful|er|ers)?$)"), "or"),
    (re.compile(r"(?<=[a-z]{2}[bdlmnv])or(?=(?:s|ed|ing|able|ite|ites|ful|er|ers)?$)"), "our"),
    (re.compile(r"(?<=[a-z]{3})is(?=(?:e|es|ed|ing|ation|ations)$)"), "iz"),
    (re.compile(r"(?<=[a-z]{3})iz(?=(?:e|es|ed|ing|ation|ations)$)"), "is"),
    (re.compile(r"(?<=[a-z]{2}t)re(?=s?$)"), "er"),
    (re.compile(r"(?<=[a-z]{3}[aeiou]l)l(?=(?:ed|ing|er|ers)$)"), ""),
    (re.compile(r"(?<=[a-z]{2})ogue(?=s?$)"), "og"),
    (re.compile(r"^grey"), "gray"),
    (re.compile(r"^gray"), "grey"),
)
_MOST_ALIKE = 6


def shapes_of(word: str) -> tuple[str, ...]:
    """A word, its irregular forms and its other spellings. What a suffix makes of it is left out."""
    word = word.casefold()
    found = dict.fromkeys((word, *_irregular(word)))
    for base in _bases(word):
        found |= dict.fromkeys(_irregular(base))
    for each in tuple(found):
        found |= dict.fromkeys(pattern.sub(other, each) for pattern, other in _SPELLINGS if pattern.search(each))
    return tuple(found)


def _irregular(word: str) -> tuple[str, ...]:
    """All forms of an irregular word; nothing for others."""
    known = forms(word)
    return known if len(known) > 1 else _FORMS.get(word, ())


def alike(word: str) -> tuple[str, ...]:
    """Everyday words for much the same, where it has any."""
    for shape in (*shapes_of(word), *_bases(word.casefold())):
        if shape in _OTHERS:
            return _OTHERS[shape][:_MOST_ALIKE]
    return ()


def _bases(word: str) -> Iterator[str]:
    """What a word may be an inflection of."""
    for suffix, ends in (("ies", ("y",)), ("es", ("e", "")), ("s", ("",)), ("ing", ("", "e")), ("ed", ("", "e"))):
        if word.endswith(suffix) and len(word) - len(suffix) > 2:
            base = word.removesuffix(suffix)
            yield from (base + end for end in ends)
            if suffix in ("ing", "ed") and base[-1] == base[-2]:
                yield base[:-1]
