"""The word lists of the generator. Their order is part of the recipe: another order is another training stream."""

from __future__ import annotations


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = _split("""
account address agenda agreement alarm album answer apartment archive article asset auction audit badge balance bank
battery bill board boat book booking branch bridge budget building bus calendar call camera campaign car card case
catalog center channel chapter chart city claim class client clinic clock coin color company contact contract
country coupon course crop currency customer dataset deadline debt delivery department deposit desk device dish
document domain door draft driver drug employee engine error estate event exam expense factory farm fee field file
film fine firm flight flower folder forecast form friend fund game garden gate gift goal grade grant group guest
harbor holiday hospital hotel house image incident index insurance inventory invoice island issue item job journal
kitchen label laboratory lake lamp language lecture ledger lesson letter library license limit list loan location
lock log machine mail manager map market meal medicine meeting member memo menu message meter mill mine model museum
network news note notice office offer orchard order package page painting parcel park partner passport patient
payment pension permit person phone photo pilot plan plant player policy port position post price printer prize
product profile project property protocol quarter query quote rate receipt recipe record refund region reminder rent
repair report request reservation resource restaurant result review reward risk road robot role room route salary
sale sample schedule school score seat section sensor server service session ship shipment shop signal site song
staff station statement stock store stream street student subscription supplier survey system table target task tax
team tenant ticket timer tool tour town track trade train transfer treatment trip truck unit user vacation valve
vehicle vendor version village visit visitor voucher wallet warehouse warranty weather website well window worker
zone
""")

ADJECTIVES = _split("""
active annual available average basic blue central cheap clean closed cold common current daily dark digital direct
double dry early eastern empty fast final first fixed free fresh full general global good green gross hard heavy
high hourly internal large last late light local long lower main major maximum mean medium minimum minor modern
monthly narrow net new next northern old open outer own paid pending primary private public quick quiet rare red
regional regular remote rough round safe second senior short simple small smooth soft solid southern special spare
standard steady strong thin third total upper urgent vacant warm weekly western white wide yearly young
""")

FIRST_NAMES = _split("""
Ada Adam Aisha Alan Alice Amir Ana Anna Ben Bob Carla Carlos Chen Clara Daniel David Diana Elena Emma Eric Eva
Fatima Felix Frank Grace Hana Hugo Ines Ivan Jack James Jane Jin John Jonas Julia Karim Kate Laila Lars Laura Leo
Lena Lina Lucas Maria Mark Marta Max Maya Mei Mia Mila Nadia Nina Noah Nora Olga Omar Oscar Paul Peter Petra Priya
Ravi Rosa Ruth Sam Sara Sofia Tara Theo Tom Uma Vera Victor Wei Yara Yuki Zoe
""")

MONTHS = _split("January February March April May June July August September October November December")

# What functions are about, and what they do.
SUBJECTS = _split("""
account agreement asset booking branch budget car claim client contract course customer delivery department device
driver employee event flight guest hotel invoice item lesson loan machine meeting member order package patient
payment plan player policy product project property request reservation room route school server shipment shop song
station store student supplier team tenant ticket train user vehicle vendor warehouse weather city country document
report price balance status address phone salary schedule score temperature owner manager rating size weight color
type value location level
""")

LOOKUP_VERBS = _split("get find fetch look_up read check show retrieve query")

ACTION_VERBS = _split("""
create update send delete book schedule cancel order search list open close move start stop print convert calculate
add remove assign approve reject register renew reserve upload download share track rate block export import log
plan
""")

ATTRIBUTES = _split("status state level owner balance total name type date place count priority")

# Names of arguments that say nothing of their subject.
PLAIN_NAMES = _split("name date city amount count limit email title text query start end reason")

# Too common to tell one sentence from another.
COMMON = _split("""
that this with from which when will used same have been also such only then than into more most some other each they
their there these those where while would could should must does about after before between because using called
given following
""")

# Sounds of invented words.
ONSETS = _split("b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh st t th tr v w y z")
VOWELS = _split("a e i o u ai ea io ou a e i o")
CODAS = _split("n r l s t m nd rk x ck th n r l")
