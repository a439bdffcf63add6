# SPDX-License-Identifier: Apache-2.0
"""The texts of the sandbox's messages: invented Swedish reminders, notices and replies without real persons."""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

NAMES = ("Åsa", "Björn", "Märta", "Örjan", "Linnéa", "Göran", "Sara", "Håkan", "Ebba", "Nils", "Zäta", "Olle", "Maja")
PLACES = (
    "Storgatan 4", "Kvarnvägen 12 B", "Ågatan 7", "Östra Hamnen 3", "Björkallén 21", "Mäster Pers gränd 2",
    "Sjövägen 9", "Smedjegatan 16", "Ängsvägen 1",
)  # fmt: skip
DAYS = ("måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "i morgon", "på söndag kväll")
SENDERS = ("Tandklinik", "Paketombud", "Vardcentral", "Verkstaden", "Biblioteket", "Elnatet", "Skolan7B")

NOTICES = (
    "Hej {name}! Påminnelse om din tid {day} kl. {time} hos oss på {place}. Svara JA för att bekräfta eller NEJ för "
    "att boka av.",
    "Ditt paket {code} finns nu att hämta på {place}. Ta med legitimation. Det ligger kvar i {small} dagar.",
    "Hej {name}, din bil är klar och kan hämtas {day} efter kl. {time}. Nyckeln finns i receptionen på {place}.",
    'Boken "Vägen över ån" som du reserverat finns att hämta på {place}. Reservation {code} gäller till {day}.',
    "Planerat strömavbrott {day} kl. {time} på {place}. Arbetet beräknas ta {small} timmar. Tack för ditt tålamod!",
    "Välkommen till föräldramötet {day} kl. {time} i aulan.\nVi bjuder på fika: kaffe, saft & bullar.",
    "Din engångskod är {code}. Lämna aldrig ut koden till någon, inte heller till oss.",
    "Hej {name}! Nu är det dags att boka om din tid. Ring oss eller gå in på Mina sidor och ange kod {code}.",
    "Din beställning {code} är packad och skickas {day}. Leverans mellan kl. {time} och {later}.",
    "Grattis på födelsedagen {name}! 🎂 Just nu får du {small}0 % rabatt i butiken på {place}.",
    "Träningen {day} är flyttad till kl. {time}. Samling vid {place}. Glöm inte vattenflaska 💧 och inneskor!",
    "Hej {name}, vi saknar ett svar på enkäten \\Trivsel\\ {code}. Det tar bara {small} minuter att fylla i den.",
)
DETAILS = (
    "Kan du inte komma? Hör av dig senast kl. {later} dagen innan, annars debiteras du för besöket.",
    "Parkering finns på baksidan av huset, porten öppnas med kod {code}.",
    "Är något oklart svarar du bara på det här meddelandet så hjälper {name} dig.",
    "Observera att vi har stängt mellan kl. 12 och 13 samt hela {day}.",
    "Ta med din kallelse och en lista över de mediciner som du äter.",
    "Priset är {small}50 kr och betalas på plats med kort eller mobil.",
    "Ärendenumret är {code}, ha det till hands om du behöver kontakta oss.",
    "Hissen är ur funktion, använd ingången från {place} så möter vi dig där.",
    "Barn under {small} år är välkomna i sällskap med en vuxen.",
)
CLOSINGS = (
    "Varma hälsningar, {name}", "/{name} på {place}", "Med vänlig hälsning\n{name}", "Tack för att du hjälper oss!",
    "Väl mött!", "Hälsar {name} i receptionen",
)  # fmt: skip
REPLIES = (
    "JA", "NEJ", "Ja tack, det passar bra!", "Ok 👍", "Tack så mycket!", "STOPP",
    "Hej! Jag är tyvärr sjuk och måste boka av tiden {day} kl. {time}. Finns det någon ledig tid nästa vecka, gärna "
    "efter kl. {later}? Hälsningar {name}",
    "Kan jag komma kl. {later} i stället? Bussen till {place} är inställd på grund av snön.",
    "Jag hämtar paketet {code} {day}, är det öppet då? Min sambo {name} kan annars komma förbi efter kl. {time}.",
    "Var ligger {place}? Jag hittar inte ingången \"B\" och dörren är låst…\nStår utanför nu.",
    "Vi blir {small} personer {day}. Två av oss är vegetarianer och {name} tål inte nötter. 🥜 Går det bra att få "
    "ett bord vid fönstret?",
    "Nu har jag väntat i {small} dagar på svar om ärende {code}. När kan ni höra av er? Jag är anträffbar efter "
    "kl. {time}, helst {day}.",
)  # fmt: skip

# The GSM 7-bit alphabet, and its extension table whose characters count twice (3GPP TS 23.038).
_GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = "^{}\\[~]|€\f"
_NOT_GSM = re.compile(f"[^{re.escape(_GSM + _GSM_EXTENSION)}]")
_EXTENDED = re.compile(f"[{re.escape(_GSM_EXTENSION)}]")


def _fill(text: str, rng: Random) -> str:
    hour = rng.randrange(8, 17)
    return text.format(
        name=rng.choice(NAMES),
        place=rng.choice(PLACES),
        day=rng.choice(DAYS),
        time=f"{hour}.{rng.choice(('00', '15', '30', '45'))}",
        later=f"{hour + 1}.30",
        code=f"{rng.randrange(10000):04d}",
        small=rng.randrange(2, 9),
    )


def notice(rng: Random) -> str:
    """Return a message that a business sends: one to five sentences."""
    parts = [rng.choice(NOTICES), *rng.sample(DETAILS, rng.choice((1, 2, 2, 3, 3, 4, 4))), rng.choice(CLOSINGS)]
    return _fill(" ".join(parts), rng)


def reply(rng: Random) -> str:
    """Return a message that a person sends back: a word or a few sentences."""
    return _fill(rng.choice(REPLIES), rng)


@lru_cache(maxsize=16_384)
def coding_and_segments(text: str) -> tuple[bool, int]:
    """
    Return how an SMS carries a text.

    :return: whether it needs UCS-2, and its number of segments. A single segment holds 160 seven-bit characters or 70
        UTF-16 units, each of several segments 153 or 67 (3GPP TS 23.038 and 23.040).
    """
    if _NOT_GSM.search(text) is None:
        length = len(text) + len(_EXTENDED.findall(text))
        return False, 1 if length <= 160 else -(-length // 153)
    length = len(text.encode("utf-16-le")) // 2
    return True, 1 if length <= 70 else -(-length // 67)
