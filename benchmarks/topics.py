"""What the two friends of a generated conversation talk about, and what can be asked about it.

Two halves that share no topic: one to tune the ranking with, one that is only measured. Lines alternate between the one
who tells and the one who listens; {hey}, {wow}, {so} and {by} are filled with what people say around the matter.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, and which lines answer it. One that fits several tellings needs them all."""

    text: str
    told_in: tuple[int, ...]
    sort: str = "fact"


@dataclass(frozen=True, slots=True)
class Topic:
    """A thing that happened, told in some lines, two of them for a line that can also be said in fewer words.

    `later` is what comes up about it some other day, and tells nothing.
    """

    lines: tuple[str | tuple[str, str], ...]
    asked: tuple[Ask, ...]
    later: tuple[str, ...] = ()
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _when(text: str, *told_in: int) -> Ask:
    return Ask(text, told_in, "time")


def _guess(text: str, *told_in: int) -> Ask:
    return Ask(text, told_in, "guess")


def _of(words: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in words.split(","))


DEVELOPMENT = (
    Topic(
        (
            "{hey} I ran a charity race for {cause} {ago} and it was really rewarding. {so}",
            "{wow} Running for {cause} is a great thing to do, {a}. How did the day go?",
            (
                "The race raised {money} dollars for {cause}, more than I hoped. I came to realize how {feel} matters.",
                "We raised {money} dollars, far more than I hoped for. It made me think about how much {feel} matters.",
            ),
            "{money}, that is incredible! {so}",
        ),
        (
            _when("When did {a} run a charity race for {cause}?", 0),
            Ask("How much money did {a}'s run for {cause} bring in?", (2,)),
            Ask("What did {a} realize after the charity race?", (2,)),
            _guess("Would {a} be considered an active person who likes running?", 0),
            _guess("Would {a} be considered an active person?", 0),
            Ask("What causes has {a} run a race for?", (0,)),
            Ask("What causes does {a} support?", (0,)),
        ),
        ("Are you training for another race, {a}?", "My knees are not what they were when I was running."),
        {
            "cause": _of("mental health,cancer research,clean water,homeless shelters,stray animals,sick children"),
            "feel": _of("looking after myself,being patient,saying thank you,asking for help,getting enough sleep"),
            "money": _of("300,450,720,1100,2400,5000"),
        },
    ),
    Topic(
        (
            "{so} I signed up for a {craft} class {ago}, it is my therapy right now.",
            "{wow} {craft}! I always wanted to try that. What do you make there?",
            (
                "In the last class I made a {thing}, here it is. [picture: a {colour} {thing} on a wooden table]",
                "So far a {thing}, here it is. [picture: a {colour} {thing} on a wooden table]",
            ),
            "It is lovely, {a}! The {colour} really catches the eye.",
            (
                "Thanks, {b}! I chose {colour} for the {thing} because it reminds me of {reminds}.",
                "Thanks, {b}! I picked that tone because it reminds me of {reminds}.",
            ),
        ),
        (
            _when("When did {a} sign up for a {craft} class?", 0),
            Ask("What has {a} made in the {craft} class?", (2,)),
            Ask("Why did {a} choose the colour {colour} for the {thing}?", (4,)),
            Ask("What classes does {a} take?", (0,)),
            Ask("What does {a} do as therapy?", (0,)),
            Ask("What activities does {a} partake in?", (0,)),
            Ask("What does {a} do to destress?", (0,)),
        ),
        ("How is the class going, {a}?", "I made nothing with my hands for weeks."),
        {
            "craft": _of("pottery,woodworking,weaving,glassblowing,jewellery,printmaking"),
            "thing": _of("bowl,vase,lamp,cup,plate,little box"),
            "colour": _of("blue,green,orange,purple,crimson,grey"),
            "reminds": _of("the sea,my grandmother's kitchen,autumn at home,the sky at night,our old school"),
        },
    ),
    Topic(
        (
            "{hey} Guess what, we got a {beast} {ago}! The kids are over the moon.",
            "{wow} Congrats! What did you call it?",
            (
                "The name is {pet}! It was {boy}'s idea. That {beast} already rules the whole house.",
                "{pet}! It was {boy}'s idea. It already rules the whole house.",
            ),
            "Haha, {pet} sounds like a boss. How does it get on with everybody?",
            (
                "Better than we feared. {pet} only hides {hides} when guests come.",
                "Better than we feared. It only hides {hides} when guests come.",
            ),
        ),
        (
            Ask("What is the name of {a}'s {beast}?", (2,)),
            _when("When did {a} get a {beast}?", 0),
            Ask("What pets does {a} have?", (0,)),
            Ask("Where does {pet} hide when visitors come?", (4,)),
            Ask("Who named {a}'s {beast}?", (2,)),
        ),
        ("How is {pet}?", "{pet} says hi!", "The vet says animals feel our moods, did you know?"),
        {
            "beast": _of("puppy,kitten,parrot,rabbit,tortoise,hamster,guinea pig"),
            "pet": _of("Biscuit,Pepper,Mochi,Ziggy,Clover,Rufus,Olive,Nugget,Pixel,Waffles,Juno,Basil"),
            "boy": _of("Leo,Anna,Felix,my mother,the neighbour,my youngest"),
            "hides": _of("under the sofa,behind the fridge,in the laundry basket,in my wardrobe"),
        },
    ),
    Topic(
        (
            "{so} Big news: I got the job at {firm}! They phoned me {ago}.",
            "{wow} You worked so hard for that, {a}. When do you begin?",
            (
                "I start in {month}, as {role}. {firm} does something I believe in.",
                "In {month}. I will be {role}, finally something I believe in.",
            ),
            "They can count themselves lucky. What made you say yes?",
            (
                "I accepted because of the people, and because {perk}. Nobody else had an offer like that.",
                "The people, and that {perk}. Nobody offered me that before.",
            ),
        ),
        (
            _when("When was {a} hired by {firm}?", 0),
            Ask("When does {a} start working at {firm}?", (2,)),
            Ask("What is {a}'s position at {firm}?", (2,)),
            Ask("Why did {a} accept the offer from {firm}?", (4,)),
            Ask("Which companies has {a} worked for?", (0,)),
        ),
        ("How is work, {a}?", "Work has been a lot, I hardly see daylight."),
        {
            "firm": _of("Northwind,Halcyon,Bluepeak,Ferrous,Lumen,Oakline,Quarry,Sable,Tidewater"),
            "role": _of("a counsellor,a data analyst,head of the kitchen,a nurse,a teacher,a graphic designer"),
            "perk": _of("I can work from home,they pay for further training,there is a nursery,Fridays are free"),
        },
    ),
    Topic(
        (
            "{hey} We went camping in the {wild} near {place} {ago}. Best time ever!",
            "{wow} What did you get up to out there?",
            (
                "While camping we {did} with the whole family, and at night we {night}. Nobody wanted to leave.",
                "We {did}, and at night we {night}. The little ones did not want to go home.",
            ),
            "Memories like that stay for ever. {so}",
        ),
        (
            _when("When did {a} go camping near {place}?", 0),
            Ask("Where has {a} camped?", (0,)),
            Ask("What does {a} do with the family while camping?", (2,)),
            _guess("Would {a} be more interested in camping or in a theme park?", 0, 2),
            _guess("Would {a} be more interested in a national park or a theme park?", 0, 2),
            Ask("What did {a} do on the camping trip in {inmonth}?", (2,)),
        ),
        ("Nature does something to you, right?", "We should all go outdoors together some day."),
        {
            "wild": _of("forest,mountains,dunes,valley,hills"),
            "did": _of("swam in the lake,went hiking,explored a cave,picked berries,climbed a rock"),
            "night": _of("roasted marshmallows,told ghost stories,counted shooting stars,sang by the fire"),
        },
    ),
    Topic(
        (
            "{so} I finished a painting {ago}. [picture: a painting of {scene} in {colour} tones]",
            "{wow} {a}, that is stunning! Where do you take your ideas from?",
            (
                "I got inspired by {inspires}. The painting is about how {meaning}.",
                "From {inspires}. I wanted to show how {meaning}.",
            ),
            "I can see it. You should put it in an exhibition!",
        ),
        (
            Ask("What has {a} painted?", (0,)),
            _when("When did {a} paint {scene}?", 0),
            Ask("What inspired {a}'s painting of {scene}?", (2,)),
            Ask("What does {a}'s painting of {scene} stand for?", (2,)),
            Ask("What paintings has {a} finished?", (0,)),
            Ask("What activities does {a} partake in?", (0,)),
        ),
        ("Are you still painting, {a}?", "Art says what words can't."),
        {
            "scene": _of("a sunset,a horse,a lighthouse,a market,an old tree,a dancer,a stormy sea"),
            "colour": _of("warm,cold,bright,dark,pastel"),
            "inspires": _of("a walk with my dad,a dream,a visit to the coast,a poem,an old photo"),
            "meaning": _of("hope comes back,nobody is alone,time passes,we all change,silence can be loud"),
        },
    ),
    Topic(
        (
            "{hey} I can't put this book down, I read half of it {ago}.",
            "Ooh, which one? I need something new to read.",
            (
                'The book is "{book}". I learned from it that {lesson}. I would suggest it to anyone, {b}.',
                '"{book}". It taught me that {lesson}. You would love it, {b}.',
            ),
            "It goes on my list. {so}",
        ),
        (
            Ask("What books has {a} read?", (2,)),
            Ask("What book did {a} suggest to {b}?", (2,)),
            Ask('What did {a} learn from the book "{book}"?', (2,)),
            _when('When did {a} read "{book}"?', 2),
            _when('When did {a} read "{book}"?', 0, 2),
        ),
        ("Read anything good lately?", "My shelf is full and I still buy more."),
        {
            "book": _of(
                "Silent Harbor,The Glass Orchard,Nine Rivers,Paper Lanterns,Winter Atlas,The Last Ferry,Salt Road"
            ),
            "lesson": _of(
                "it is never too late,we should forgive,home is made of people,courage is quiet,truth needs time"
            ),
        },
    ),
    Topic(
        (
            (
                "{so} I went to a {band} concert {ago} with {company}, the crowd was wild!",
                "{so} I saw {band} live {ago} with {company}, the crowd was wild!",
            ),
            "{wow} What kind of music is it?",
            (
                "{band} play {genre}, with a lot of heart. After the last song everybody {crowd}.",
                "{genre}, with a lot of heart. When they played the last song everybody {crowd}.",
            ),
            "Goosebumps! Music brings people together, doesn't it, {a}?",
        ),
        (
            Ask("Which concerts has {a} been to?", (0,)),
            Ask("What musical artists has {a} seen?", (0,)),
            _when("When did {a} go to the {band} concert?", 0),
            Ask("Who did {a} go to the concert of {band} with?", (0,)),
            Ask("What kind of music do {band} play?", (2,)),
            Ask("What did people do at the end of the {band} show?", (2,)),
            Ask("What genre does {band} play?", (2,)),
            _guess("Would {a} likely enjoy seeing a band at a festival?", 0, 2),
            _guess("Would {a} likely enjoy a festival?", 0, 2),
        ),
        ("I have had this tune in my head all week.", "We should go to a show together, {b}!"),
        {
            "band": _of("Summer Sounds,Velvet Tram,Iron Lilies,Matt Corbin,Paper Kings,Nora Vale"),
            "company": _of("my cousin,two colleagues,my daughter,an old friend,my brother"),
            "genre": _of("Folk,Jazz,Indie pop,Blues,Punk"),
            "crowd": _of("sang along,lit up their phones,danced,cried,went silent"),
        },
    ),
    Topic(
        (
            "{hey} I baked {cake} for {event} {ago} and there was nothing left!",
            "{wow} Save me a slice next time! What is your secret?",
            (
                "The secret is a bit of {spice}, a trick I have from my {kin}. The {cake} never fails.",
                "A bit of {spice}, that is what my {kin} did, too. It turns out different every time.",
            ),
            "I will try that at home, {a}. {so}",
        ),
        (
            Ask("What has {a} baked?", (0,)),
            _when("When did {a} bake {cake}?", 0),
            Ask("What is the secret ingredient of {a}'s {cake}?", (2,)),
            Ask("Who taught {a} the trick for the {cake}?", (2,)),
            Ask("Who did {a} get the baking trick from?", (2,)),
        ),
        ("My kitchen is a mess, as always.", "I could eat sweets all day."),
        {
            "cake": _of("carrot cake,cinnamon rolls,apple pie,lemon tarts,walnut bread,banana muffins"),
            "event": _of("the school party,our neighbours,the office,a birthday,the church bazaar"),
            "spice": _of("cardamom,orange peel,sea salt,ginger,nutmeg"),
        },
    ),
    Topic(
        (
            "{so} I started volunteering at {org} {ago}, on {weekday}s.",
            "{wow} They need people like you, {a}. What do you do there?",
            (
                "As a volunteer I {task}. Last time {met} thanked me, I nearly cried.",
                "I {task}. Last time {met} thanked me, I nearly cried.",
            ),
            "You make a difference, never doubt that.",
        ),
        (
            _when("When did {a} begin to volunteer at {org}?", 0),
            Ask("What does {a} do as a volunteer at {org}?", (2,)),
            Ask("Where has {a} volunteered?", (0,)),
            Ask("On which day does {a} help out at {org}?", (0,)),
            _guess("Does {a} like to help people as a volunteer?", 0, 2),
            _guess("What might {a}'s personality traits be?", 0, 2),
        ),
        ("How are things at {org}?", "Helping others helps me, too."),
        {
            "org": _of("the animal shelter,the food bank,the youth center,the hospice,the library,the refugee home"),
            "task": _of("serve meals,read to people,sort donations,walk the dogs,help with homework,fix bicycles"),
            "met": _of("an old man,a little girl,a young couple,a veteran,a single mother"),
        },
    ),
    Topic(
        (
            "{hey} Not my best week: I {hurt} {ago} and have to take it slow.",
            "Oh no, {a}! How did that happen?",
            (
                "I {cause} like a fool and got hurt. The doctor says it takes {weeks} weeks to recover.",
                "I {cause} like a fool. The doctor says {weeks} weeks until I am fit again.",
            ),
            "Take care of yourself. Can I do anything for you?",
        ),
        (
            _when("When did {a} get hurt and had to take it slow?", 0),
            _when("When did {a} get hurt?", 0),
            Ask("How did {a} get hurt?", (2,)),
            Ask("What injury did {a} have?", (0,)),
            Ask("How did {a} get injured?", (2,)),
            Ask("How many weeks does it take {a} to recover?", (2,)),
            Ask("How long will it take {a} to recover?", (2,)),
        ),
        ("Is it still painful, {a}?", "Health is everything, we only notice when it is gone."),
        {
            "hurt": _of("sprained my ankle,broke my wrist,hurt my back,cut my hand,bruised my ribs"),
            "cause": _of("slipped on the stairs,fell off my bike,lifted a heavy box,tripped over a toy"),
            "weeks": _of("two,three,four,six,eight"),
        },
    ),
    Topic(
        (
            "{so} We finally moved to {place} {ago}. Boxes everywhere!",
            "{wow} What is the new flat like, {a}?",
            (
                "The flat has {feature}, and we pay {money} a month. I could not believe our luck.",
                "It has {feature}, and the rent is {money} a month. I could not believe our luck.",
            ),
            "I am jealous! Why did you leave the old one?",
            (
                "We left because of {reason}. The old flat was no good any more.",
                "Because of {reason}, we could not stand it any more.",
            ),
        ),
        (
            _when("When did {a} move to {place}?", 0),
            Ask("How much does {a} pay for the flat in {place}?", (2,)),
            Ask("Why did {a} leave the old apartment?", (4,)),
            Ask("Where has {a} moved?", (0,)),
            Ask("Where has {a} lived?", (0,)),
            Ask("What does {a}'s new flat have?", (2,)),
            Ask("What does {a}'s new home have?", (2,)),
        ),
        ("Have you settled in, {a}?", "I still have not found the box with the cutlery."),
        {
            "feature": _of("a balcony,a tiny garden,a view of the river,a fireplace,high ceilings"),
            "reason": _of("the noise,mould in the bathroom,the landlord,the long commute,the stairs"),
            "money": _of("640,780,905,1150,1320"),
        },
    ),
    Topic(
        (
            "{hey} We celebrated my {kin}'s birthday {ago}, {place} was full of balloons.",
            "{wow} How old?",
            (
                "My {kin} turned {age}! The best gift was {gift}, there were tears.",
                "{age}! The best gift was {gift}, there were tears.",
            ),
            "Aww. Moments like these are what it is all about, {a}.",
        ),
        (
            _when("When is {a}'s {kin}'s birthday?", 0),
            Ask("How old did {a}'s {kin} turn?", (2,)),
            Ask("What present did {a}'s {kin} get?", (2,)),
        ),
        ("Family is everything.", "My {kin} asked about you the other day."),
        {
            "age": _of("Eight,Twelve,Eighteen,Thirty,Fifty,Seventy-five"),
            "gift": _of("a telescope,a photo album,a guitar,a weekend in the Alps,a handmade quilt"),
        },
    ),
    Topic(
        (
            "{so} I have been thinking about what to do with my life. I want to go into {field}.",
            "{wow} That suits you so well, {a}. What brought that on?",
            (
                "What motivated me: when I was young, {support}. I would like to give that back in {field}.",
                "When I was young, {support}, and it changed everything. I would like to give that back.",
            ),
            "You will be great. What is the next step?",
            (
                "I applied for a course in {field} {ago}; they answer in {month}.",
                "I applied for a course {ago}; they answer in {month}.",
            ),
        ),
        (
            Ask("What does {a} want to do in life?", (0,)),
            Ask("What career path has {a} decided to pursue?", (0,)),
            Ask("What motivated {a} to go into {field}?", (2,)),
            _when("When did {a} apply for a course in {field}?", 4),
            _when("When did {a} apply for a course?", 4),
            _guess("What would {a} be likely to study to go into that field?", 0, 2),
            _guess("What fields would {a} be likely to study?", 0, 2),
            _guess("Would {a} still go into {field} without that experience when young?", 0, 2),
            _guess("Would {a} want that profession without the support in childhood?", 0, 2),
        ),
        ("Did they answer, {a}?", "I wonder where we will be in ten years."),
        {
            "field": _of("counselling,social work,marine biology,midwifery,special education,urban planning"),
            "support": _of("a teacher believed in me,a stranger paid my fees,my coach listened,a nurse held my hand"),
        },
    ),
    Topic(
        (
            "{hey} I found this in the attic {ago}. [picture: a {jewel} with a {shape} on it]",
            "It is beautiful! Does it mean something to you, {a}?",
            (
                "My {kin} gave me the {jewel} as a gift when I left {place}. It stands for {meaning}.",
                "My {kin} gave it to me when I left {place}. It stands for {meaning}.",
            ),
            "What a treasure. {so}",
        ),
        (
            Ask("What did {a}'s {kin} give as a gift?", (2,)),
            Ask("What did {a}'s {kin} give as a gift?", (0, 2)),
            Ask("What does {a}'s {jewel} symbolize?", (2,)),
            Ask("When did {a} get the {jewel}?", (2,)),
            Ask("What did {a} find in the attic?", (0,)),
            Ask("What country or city is {a}'s {kin} from?", (2,)),
            Ask("What items mean a lot to {a}?", (0, 2)),
        ),
        ("Old things have a soul.", "I should clear out my attic, too."),
        {
            "jewel": _of("necklace,ring,brooch,pocket watch,bracelet"),
            "shape": _of("cross,heart,eagle,rose,star"),
            "meaning": _of("love and faith,strength,luck on the road,where I come from,loyalty"),
        },
    ),
    Topic(
        (
            "{so} The car broke down on the way to {place} {ago}, in the middle of nowhere.",
            "Oh no! What did you do?",
            (
                "A {saviour} helped and towed us, and fixing the car took {weeks} days. The {part} was broken.",
                "A {saviour} towed us, and the repair took {weeks} days. It was the {part}.",
            ),
            "Cars, always at the wrong moment. I am glad nobody got hurt, {a}.",
        ),
        (
            _when("When did {a}'s car break down near {place}?", 0),
            _when("When did {a} have trouble with the car?", 0),
            Ask("Who helped {a} when the car broke down near {place}?", (2,)),
            Ask("What part of {a}'s car was broken?", (2,)),
            Ask("How many days did the repair of {a}'s car take?", (2,)),
            Ask("What was wrong with {a}'s car?", (2,)),
        ),
        ("Is the car all right again?", "I take the train these days, no nerves for driving."),
        {
            "saviour": _of("farmer,policewoman,taxi driver,group of students,priest"),
            "part": _of("gearbox,battery,radiator,clutch,exhaust"),
            "weeks": _of("two,three,five,nine"),
        },
    ),
    Topic(
        (
            "{hey} I joined {group} {ago}. We meet every {weekday}.",
            "{wow} What is it about?",
            (
                "In {group} we {aim}. For the first time I feel {feel}.",
                "We {aim}. For the first time I feel {feel}.",
            ),
            "I am so happy for you, {a}. You deserve that.",
        ),
        (
            _when("When did {a} join {group}?", 0),
            Ask("What does {group} do that {a} joined?", (2,)),
            Ask("How does {a} feel in {group}?", (2,)),
            Ask("What has {a} joined?", (0,)),
            _guess("How does being in {group} make {a} see other people?", 2),
            Ask("Which groups does {a} belong to?", (0,)),
            Ask("In what ways is {a} engaged in the community?", (0, 2)),
        ),
        ("How was the meeting, {a}?", "It is good to have people around."),
        {
            "group": _of("an activist group,a choir,a book club,a support group,a climbing team,a mentoring program"),
            "aim": _of(
                "fight for equal rights,share our stories,plan a street festival,look after newcomers,raise awareness"
            ),
            "feel": _of("accepted,brave,at home,understood,free"),
        },
    ),
    Topic(
        (
            "{so} I play the {instrument} again! I took it out {ago} after all these years.",
            "{wow} How long have you been playing, {a}?",
            (
                "I have been playing the {instrument} since I was {age}. {composer} is my favorite.",
                "Since I was {age}. {composer} is who I love to play most.",
            ),
            "Will you play for me some time?",
        ),
        (
            Ask("What instruments does {a} play?", (0,)),
            Ask("How long has {a} been playing the {instrument}?", (2,)),
            Ask("Who is {a}'s favourite composer?", (2,)),
            _guess("Would {a} likely enjoy playing {composer}?", 2),
            _guess("Would {a} likely enjoy an evening at the opera?", 2),
        ),
        ("Do you still practise, {a}?", "I wish I had learned an instrument."),
        {
            "instrument": _of("violin,clarinet,cello,piano,flute,accordion"),
            "age": _of("five,seven,ten,fourteen"),
            "composer": _of("Vivaldi,Bach,Chopin,Dvorak,Satie"),
        },
    ),
)

HELD_OUT = (
    Topic(
        (
            "{hey} I came {rank} in a {game} tournament {ago}! My hands are still shaking.",
            "{wow} How many took part, {a}?",
            (
                "About {count} people competed, some of them from {place}. I won a prize and bought {prize} with it.",
                "About {count}, some of them from {place}. I spent the prize on {prize}.",
            ),
            "You earned that. {so}",
        ),
        (
            _when("When did {a} take part in the {game} tournament?", 0),
            Ask("What tournaments has {a} been in?", (0,)),
            Ask("What games does {a} compete in?", (0,)),
            Ask("What did {a} buy with the winnings from the {game} tournament?", (2,)),
            Ask("How many people competed in {a}'s {game} tournament?", (2,)),
            _guess("Does {a} like to win a tournament?", 0),
            _guess("Is {a} a competitive person?", 0),
        ),
        ("Any new matches, {a}?", "I am hopeless at games, I always lose."),
        {
            "game": _of("chess,Street Duel,Valor Arena,table tennis,poker,Go"),
            "rank": _of("first,second,third,fourth"),
            "count": _of("20,60,130,400"),
            "prize": _of("a new keyboard,a weekend away,dinner for my parents,running shoes,my student loan"),
        },
    ),
    Topic(
        (
            "{so} I finally sent my {writing} to {target} {ago}. Fingers crossed!",
            "{wow} What is it about?",
            (
                "My {writing} is about {plot}. I rewrote the ending {count} times.",
                "It is about {plot}. I rewrote the ending {count} times.",
            ),
            "I would love to read it, {a}. Did you hear back yet?",
            (
                "Yes, the answer from {target} was no, but they liked the {praise}. I keep on writing.",
                "They turned it down, but the editor said the {praise} was strong. I keep going.",
            ),
        ),
        (
            _when("When did {a} submit the {writing}?", 0),
            Ask("What is {a}'s {writing} about?", (2,)),
            Ask("What was the answer of {target} to {a}?", (4,)),
            Ask("What did they like about {a}'s writing?", (4,)),
            Ask("How did {target} respond to {a}'s work?", (4,)),
            Ask("What has {a} sent away?", (0,)),
            Ask("Where did {a} send the {writing}?", (0,)),
            _guess("Does {a} want to be a writer after that answer?", 4),
            Ask("What has {a} written?", (0,)),
        ),
        ("Is the muse kind to you, {a}?", "I keep a journal, but nobody may see it."),
        {
            "writing": _of("screenplay,short story,first novel,poem,stage play"),
            "target": _of("a film festival,a magazine,a publisher in London,a contest,a small theatre"),
            "plot": _of(
                "two sisters on a raft,a robot gardener,a lost letter,a town without mirrors,a thief who repents"
            ),
            "praise": _of("dialogue,pacing,opening,main character"),
            "count": _of("three,five,ten"),
        },
    ),
    Topic(
        (
            "{hey} I did it, I opened my own {shop} {ago}!",
            "{wow} I remember you dreaming about this, {a}. How do you get customers?",
            (
                "To get customers I {market}. On the first day of the {shop} {count} people came.",
                "I {market}. On the first day {count} people came.",
            ),
            "Not bad! What was the hardest part?",
            (
                "The hardest part was getting {obstacle}. For the money I asked my {kin}.",
                "Getting {obstacle}. My {kin} lent me the rest.",
            ),
        ),
        (
            _when("When did {a} open the {shop}?", 0),
            Ask("How does {a} get customers for the {shop}?", (2,)),
            Ask("How does {a} promote the {shop}?", (2,)),
            Ask("What was the hardest thing about {a}'s own {shop}?", (4,)),
            Ask("Who gave {a} money for the {shop}?", (4,)),
            Ask("What has {a} opened?", (0,)),
            Ask("What was the biggest challenge for {a}'s business?", (4,)),
            Ask("Who financed part of {a}'s {shop}?", (4,)),
            Ask("What businesses does {a} own?", (0,)),
        ),
        ("How is business, {a}?", "Being your own boss, I could never."),
        {
            "shop": _of("dance studio,clothing store,bakery,bike workshop,flower shop,yoga studio"),
            "market": _of("hand out flyers,make short videos,work with a blogger,give a free trial,put up posters"),
            "obstacle": _of("a loan,the permit,good staff,the right location,insurance"),
            "count": _of("12,25,40,90"),
        },
    ),
    Topic(
        (
            "{so} My doctor told me {ago} to lose weight, so I changed my diet.",
            "Good for you, {a}. What do you eat now?",
            (
                "My diet is mostly {food} now, and I gave up {vice}. I lost {kilos} pounds already.",
                "Mostly {food}, and no more {vice}. I am down {kilos} pounds already.",
            ),
            "{wow} Do you exercise, too?",
            (
                "I exercise on {weekday}s, {sport}. It clears my head more than anything.",
                "I go {sport} on {weekday}s. It cleared my head more than anything.",
            ),
        ),
        (
            _when("When did the doctor tell {a} to lose weight?", 0),
            _when("When was {a} advised to lose weight?", 0),
            Ask("What does {a} eat on the new diet?", (2,)),
            Ask("What healthy food does {a} have these days?", (2,)),
            Ask("What did {a} give up?", (2,)),
            Ask("How many pounds has {a} lost?", (2,)),
            Ask("What kind of exercise does {a} do?", (4,)),
            _guess("Would {a} order {vice} in a restaurant?", 2),
            Ask("How much weight has {a} lost?", (2,)),
            Ask("Which sports does {a} do to keep fit?", (4,)),
        ),
        ("How is the diet going, {a}?", "I should move more, I sit all day."),
        {
            "food": _of("lentils and greens,grilled fish,oatmeal,soup,rice with vegetables"),
            "vice": _of("soda,crisps,beer,fast food,chocolate"),
            "kilos": _of("five,nine,twelve,twenty"),
            "sport": _of("swimming,kickboxing,rowing,jogging,skating"),
        },
    ),
    Topic(
        (
            "{hey} I planted {plant} in the {spot} {ago}.",
            "{wow} I kill every plant I touch. Any tips, {a}?",
            (
                "Water the {plant} {water}, and talk to them. The {pest} ate half, so I use {cure} against them.",
                "Water them {water}, and talk to them. The {pest} got half of mine, so I put out {cure}.",
            ),
            "Haha, noted. {so}",
        ),
        (
            _when("When did {a} plant {plant}?", 0),
            Ask("What has {a} planted?", (0,)),
            Ask("What does {a} grow?", (0,)),
            Ask("What does {a} do against {pest}?", (2,)),
            Ask("When should one water {plant}, according to {a}?", (2,)),
            Ask("How did {a} deal with {pest}?", (2,)),
            Ask("What advice about watering did {a} give?", (2,)),
        ),
        ("Is anything in bloom yet?", "Rain at last, the grass was yellow."),
        {
            "plant": _of("tomatoes,sunflowers,basil,roses,pumpkins,lavender"),
            "spot": _of("back yard,balcony,community garden,greenhouse"),
            "water": _of("at dawn,every other day,from below,sparingly"),
            "pest": _of("snails,aphids,rabbits,mice"),
            "cure": _of("coffee grounds,soapy water,a fence,peppermint oil"),
        },
    ),
    Topic(
        (
            "{so} I am getting married! {fiance} proposed {ago} at {where}.",
            "{wow} I'm so happy for you both! What are the plans for the wedding?",
            (
                "A small wedding in {month}, in {place}, we invited {count} guests.",
                "A small one in {month}, in {place}, with {count} guests.",
            ),
            "I will be there! What does the dress look like?",
            (
                "The dress is {dress}, I bought it second-hand, can you believe it?",
                "It's {dress}, from a second-hand store, can you believe it?",
            ),
        ),
        (
            _when("When did {fiance} propose to {a}?", 0),
            Ask("Who is {a} getting married to?", (0,)),
            Ask("Who is {a}'s partner?", (0,)),
            Ask("How many guests are invited to {a}'s wedding?", (2,)),
            Ask("In which city is {a}'s wedding?", (2,)),
            Ask("What is {a}'s wedding dress like?", (4,)),
            _guess("Is {a} likely to buy a new dress for much money?", 4),
            Ask("Where does {a} plan to marry?", (2,)),
            Ask("Where did {a} buy the wedding dress?", (4,)),
        ),
        ("How are the preparations going, {a}?", "Love is in the air everywhere."),
        {
            "fiance": _of("Alex,Robin,Sam,Kim,Jamie"),
            "where": _of("the airport,a bakery,the top of a hill,the library,a petrol station"),
            "count": _of("18,30,55,80"),
            "dress": _of("ivory and short,plain silk,green velvet,full of lace"),
        },
    ),
    Topic(
        (
            "{hey} I have been learning {tongue} since {ago}, an hour a day.",
            "{wow} Why that one, {a}?",
            (
                "{reason}, that is why I learn {tongue}. The hardest thing is the {hard}.",
                "{reason}. The hardest thing is the {hard}.",
            ),
            "Do you have a teacher?",
            (
                "No, I practise with an app, and with a {partner} online on {weekday}s.",
                "An app, and a {partner} I talk to online on {weekday}s.",
            ),
        ),
        (
            _when("When did {a} begin to learn {tongue}?", 0),
            _when("When did {a} begin with {tongue}?", 0),
            Ask("What has {a} been learning an hour a day?", (0,)),
            Ask("Why does {a} learn {tongue}?", (2,)),
            Ask("What is hard for {a} about {tongue}?", (2,)),
            Ask("How does {a} practice {tongue}?", (4,)),
            Ask("What languages does {a} study?", (0,)),
            Ask("What was {a}'s reason for learning {tongue}?", (2,)),
            Ask("What does {a} find difficult about {tongue}?", (2,)),
            Ask("How does {a} practise speaking {tongue}?", (4,)),
        ),
        ("Say something for me, {a}!", "My school French is all gone."),
        {
            "tongue": _of("Japanese,Spanish,Finnish,Arabic,Italian,Korean"),
            "reason": _of("My in-laws speak it,I want to read the poets,I plan to live there,It keeps my brain young"),
            "hard": _of("grammar,pronunciation,script,verbs"),
            "partner": _of("retired teacher,student from Madrid,truck driver,nurse abroad"),
        },
    ),
    Topic(
        (
            "{so} I took this one {ago} with my new camera. [picture: a photo of {subject} at {light}]",
            "{wow} The light is magical. How did you learn that, {a}?",
            (
                "I learned photography from {teacher}. One of my photos was even printed in {print}.",
                "From {teacher}, and by getting up early. One of my shots was printed in {print}.",
            ),
            "No way! I want a copy for my wall.",
        ),
        (
            Ask("What has {a} taken pictures of?", (0,)),
            Ask("What has {a} photographed?", (0,)),
            _when("When did {a} take the photo of {subject}?", 0),
            Ask("How did {a} learn photography?", (2,)),
            Ask("Where was {a}'s photo published?", (2,)),
            Ask("Where was {a}'s picture published?", (2,)),
            Ask("What hobbies does {a} have?", (0,)),
        ),
        ("Out with the camera again?", "A good picture says it all."),
        {
            "subject": _of("a heron,a bridge,a child with a kite,a snowy street,an old fisherman"),
            "light": _of("dawn,dusk,noon,midnight"),
            "teacher": _of("online tutorials,my uncle,a workshop,a library book"),
            "print": _of("the local paper,a calendar,a travel magazine,a hotel brochure"),
        },
    ),
    Topic(
        (
            "{hey} Our team won {ago}! I scored {points} points.",
            "{wow} What a game that must have been! Who did you play against, {a}?",
            (
                "We played the {team}. In the last minute I {play} and the whole gym went crazy.",
                "The {team}. In the last minute I {play} and the whole gym went crazy.",
            ),
            "What is your goal for the season?",
            (
                "My goal is to {goal}. And I would like to coach a team of kids one day.",
                "To {goal}. And I would like to coach kids one day.",
            ),
        ),
        (
            _when("When did {a}'s team play the {team} and win?", 0, 2),
            _when("When did {a}'s team beat the {team}?", 0, 2),
            Ask("How many points has {a} scored for the team?", (0,)),
            Ask("What did {a} do in the last minute against the {team}?", (2,)),
            Ask("How many points did {a} score against the {team}?", (0, 2)),
            Ask("Which teams has {a} played?", (2,)),
            Ask("What goals does {a} have for the season?", (4,)),
            Ask("What are {a}'s sporting ambitions?", (4,)),
            Ask("What hobbies does {a} have?", (0,)),
        ),
        ("When is the next game, {a}?", "I watch sports with one eye only."),
        {
            "points": _of("12,18,23,31,40"),
            "team": _of("Wolves,Harbor Kings,Red Foxes,Comets,Miners"),
            "play": _of("stole the ball,hit a three-pointer,blocked a shot,passed blind"),
            "goal": _of("shoot better,win the title,stay healthy,sign with a brand"),
        },
    ),
    Topic(
        (
            "{so} I bought an old {car} {ago} and I am restoring it in the garage.",
            "{wow} Where do you find the parts, {a}?",
            (
                "I get parts in {source}. Restoring the {bit} alone cost {money} dollars and a whole month.",
                "In {source}. The {bit} alone ate {money} dollars and a whole month.",
            ),
            "Is it worth it?",
            (
                "Each time that the {car} {sound}, yes. It was my {kin}'s dream.",
                "Each time that it {sound}, yes. It was my {kin}'s dream car.",
            ),
        ),
        (
            _when("When did {a} purchase the {car}?", 0),
            Ask("What old cars does {a} restore?", (0,)),
            Ask("What vehicles has {a} restored?", (0,)),
            Ask("Where does {a} get spare parts for the {car}?", (2,)),
            Ask("How much did {a} pay for restoring the {bit}?", (2,)),
            Ask("Whose dream was {a}'s {car}?", (4,)),
            Ask("What was the most expensive repair on {a}'s {car}?", (2,)),
            Ask("Why does the {car} matter to {a}?", (4,)),
        ),
        ("Does it drive yet, {a}?", "I can't even change a tyre."),
        {
            "car": _of("Mustang,Beetle,pickup truck,Vespa,camper van"),
            "source": _of("scrap yards,a forum,flea markets,a shop in Detroit"),
            "bit": _of("engine,paint,interior,chrome,suspension"),
            "sound": _of("purrs,starts at once,shines in the sun,makes people wave"),
            "money": _of("800,1500,3200"),
        },
    ),
    Topic(
        (
            "{hey} I have been seeing a therapist since {ago}. It was time.",
            "I'm proud of you, {a}. What helps you most?",
            (
                "{method} helps me most, every {daytime}. It keeps me calm when {trigger}.",
                "{method}, every {daytime}. It calms me when {trigger}.",
            ),
            "I might try it myself. {so}",
        ),
        (
            _when("Since when does {a} see a therapist?", 0),
            _when("When did {a} start therapy?", 0),
            Ask("What technique helps {a} to stay calm?", (2,)),
            Ask("When does {a} need {method} to calm down?", (2,)),
            _guess("Is {a} open about seeing a therapist?", 0),
            Ask("What makes {a} anxious?", (2,)),
            Ask("What time of day does {a} relax with {method}?", (2,)),
        ),
        ("Are you sleeping better, {a}?", "Stress is a silent thief."),
        {
            "method": _of("Breathing exercises,Meditation,Writing letters,Cold showers,Gentle stretching"),
            "daytime": _of("morning,evening,lunch break,night before bed"),
            "trigger": _of("deadlines pile up,the phone rings late,I have to speak in public,money is short"),
        },
    ),
    Topic(
        (
            "{so} I made {flavour} ice cream {ago}, dairy-free!",
            "{wow} How do you do it without milk, {a}?",
            (
                "I use {base} instead of milk. My {kin} can't digest lactose, that's how my ice cream began.",
                "With {base}. My {kin} can't digest lactose, that's how it began.",
            ),
            "You should sell it. What's your favourite of all?",
            (
                "My favorite is {best}, hands down.",
                "{best}, hands down.",
            ),
        ),
        (
            _when("When did {a} make {flavour} ice cream?", 0),
            Ask("What kinds of ice cream has {a} made?", (0,)),
            Ask("What flavours has {a} tried?", (0,)),
            Ask("What does {a} use instead of milk?", (2,)),
            Ask("Who in {a}'s family can't have lactose?", (2,)),
            Ask("What is {a}'s favourite dessert?", (4,)),
            Ask("Why did {a} begin to cook dairy-free?", (2,)),
            Ask("Which dessert does {a} like best?", (4,)),
        ),
        ("Any new recipes, {a}?", "I'm on my third coffee today."),
        {
            "flavour": _of("vanilla,raspberry,pistachio,mango,mint"),
            "base": _of("coconut cream,oat drink,frozen bananas,cashews"),
            "best": _of("Chocolate mousse,Strudel,Rice pudding,Tiramisu"),
        },
    ),
    Topic(
        (
            "{hey} I passed my {exam} exam {ago}, top marks!",
            "{wow} All these nights paid off. How did you study, {a}?",
            (
                "I studied with {aid}, and {who} helped me on {weekday}s. I was so nervous before it that I {nerves}.",
                "With {aid}, and {who} tested me on {weekday}s. I was so nervous that I {nerves}.",
            ),
            "What comes next?",
            (
                "I have to write a thesis on {thesis}, due in {month}.",
                "A thesis on {thesis}, due in {month}.",
            ),
        ),
        (
            _when("When did {a} pass the {exam} exam?", 0),
            Ask("What exams has {a} passed?", (0,)),
            Ask("Who helped {a} to study for the {exam} exam?", (2,)),
            Ask("What does {a} write a thesis about?", (4,)),
            Ask("What did {a} do out of nerves before the {exam} exam?", (2,)),
            Ask("What subjects does {a} study?", (0,)),
            Ask("Who helped {a} prepare for the {exam} exam?", (2,)),
            Ask("What is the topic of {a}'s thesis?", (4,)),
            Ask("What happened to {a} out of nervousness?", (2,)),
        ),
        ("How are your studies, {a}?", "I was never good at sitting still in class."),
        {
            "exam": _of("anatomy,statistics,law,chemistry,history"),
            "aid": _of("flash cards,old papers,voice notes,mind maps"),
            "who": _of("my roommate,my husband,the tutor,a classmate"),
            "nerves": _of("forgot my pen,took the wrong bus,spilled my tea,laughed out loud"),
            "thesis": _of("soil erosion,medieval trade,sleep in infants,tax havens,bird migration"),
        },
    ),
    Topic(
        (
            "{so} We tore out the {room} {ago}, there is dust in my soup.",
            "{wow} Are you doing it all on your own, {a}?",
            (
                "A {helper} works with me. We found {found} behind the wall of the {room}!",
                "With a {helper}. We found {found} behind the wall!",
            ),
            "No! What will it look like when it is done?",
            (
                "{style}, that is what I want for the {room}, with {detail}. It should be done in {month}.",
                "{style}, with {detail}. It should be finished in {month}.",
            ),
        ),
        (
            _when("When did {a} tear out the {room}?", 0),
            _when("When did {a} begin to renovate the {room}?", 0),
            Ask("What did {a} find in the wall of the {room}?", (2,)),
            Ask("What was discovered in the wall of {a}'s {room}?", (2,)),
            Ask("Who works on the house with {a}?", (2,)),
            Ask("What style does {a} want for the {room}?", (4,)),
            Ask("Which rooms has {a} torn out?", (0,)),
            Ask("Which rooms has {a} redone?", (0,)),
        ),
        ("Is the dust gone?", "I paint one door a year, that's my limit."),
        {
            "room": _of("kitchen,bathroom,attic,basement,nursery"),
            "helper": _of("carpenter,neighbour from upstairs,plumber,cousin"),
            "found": _of("love letters,a coin,a newspaper of 1931,a hidden shelf,a tiny shoe"),
            "style": _of("Rustic,Very plain,Seventies,Like a ship"),
            "detail": _of("cork floors,brass taps,a skylight,open shelves"),
        },
    ),
    Topic(
        (
            "{hey} Just back from {land}! We flew home {ago}.",
            "{wow} I want to hear everything. What was the highlight, {a}?",
            (
                "The highlight of {land} was {sight}, without a doubt. And I ate {meal} at a stall for two coins.",
                "{sight}, without a doubt. And the {meal} at a stall for two coins.",
            ),
            "Did anything go wrong?",
            (
                "The airline lost my {lost} on the way to {land}, and I had to {fix}.",
                "They lost my {lost}, and I had to {fix}.",
            ),
        ),
        (
            _when("When did {a} fly back from {land}?", 0),
            _when("When did {a} return from {land}?", 0),
            Ask("Where has {a} been back from?", (0,)),
            Ask("What was {a}'s highlight in {land}?", (2,)),
            Ask("What did the airline lose on {a}'s trip?", (4,)),
            Ask("What did {a} eat in {land}?", (2,)),
            _guess("Would {a} travel to {land} once more?", 2),
            Ask("Which countries has {a} visited?", (0,)),
            Ask("What did {a} enjoy most in {land}?", (2,)),
            Ask("What went missing on {a}'s journey?", (4,)),
            Ask("What local dish did {a} taste in {land}?", (2,)),
        ),
        ("Where to next, {a}?", "My passport has run out, I noticed."),
        {
            "land": _of("Peru,Vietnam,Iceland,Morocco,Georgia,Portugal"),
            "sight": _of("The old harbour,A night train,The salt desert,A monastery on a cliff,The hot springs"),
            "meal": _of("noodle soup,fried cheese,lamb stew,pancakes"),
            "lost": _of("suitcase,glasses,hiking boots,medicine"),
            "fix": _of("borrow from strangers,buy new ones,call the embassy,improvise"),
        },
    ),
    Topic(
        (
            "{so} I built an app {ago} that {app}.",
            "{wow} How did you come up with it, {a}?",
            (
                "The idea came as I kept {pain}. By now {count} people use the app.",
                "I kept {pain}, so I thought others must, too. {count} people use it by now.",
            ),
            "That's huge! What is it written in?",
            (
                "It is written in {lang}. The {bug} bug cost me three nights.",
                "{lang}, and far too much tape. The {bug} bug cost me three nights.",
            ),
        ),
        (
            _when("When did {a} build an app that {app}?", 0),
            _when("When did {a} create an app that {app}?", 0),
            Ask("What apps has {a} built?", (0,)),
            Ask("What software projects has {a} done?", (0,)),
            Ask("What gave {a} the idea for the app?", (2,)),
            Ask("How many users does {a}'s app have?", (2,)),
            Ask("Which language is {a}'s app written in?", (4,)),
            Ask("How many nights did the {bug} bug take {a}?", (4,)),
            Ask("Which programming language did {a} use?", (4,)),
        ),
        ("Any new release, {a}?", "Computers and I are not friends."),
        {
            "app": _of("waters plants,finds lost pets,splits bills,reads menus aloud,counts birds"),
            "pain": _of("missing trains,forgetting names,burning rice,losing receipts"),
            "lang": _of("Rust,Kotlin,Python,Swift"),
            "bug": _of("login,calendar,payment,dark mode"),
            "count": _of("200,1500,9000"),
        },
    ),
    Topic(
        (
            "{hey} I ran for the {office} and they elected me {ago}!",
            "{wow} What will you change first, {a}?",
            (
                "First of all the {issue}. I promised to change that at {event}, so I had better deliver.",
                "The {issue}. I promised it at {event}, so I had better deliver.",
            ),
            "We need people who care. {so}",
        ),
        (
            _when("When was {a} elected to the {office}?", 0),
            Ask("What does {a} want to change first?", (2,)),
            Ask("What promise did {a} make at {event}?", (2,)),
            Ask("What problem does {a} want to solve in office?", (2,)),
            Ask("Where did {a} make the promise about the {issue}?", (2,)),
            _guess("Could {a} be elected to a higher office?", 0),
            _guess("Could {a} imagine a career in politics?", 0),
        ),
        ("How is the council, {a}?", "Politics gives me a headache."),
        {
            "office": _of("school board,town council,tenants' union,parish council"),
            "issue": _of("broken street lights,crowded buses,empty playground,dirty river,missing bike lanes"),
            "event": _of("the spring fair,a radio show,the town hall,a barbecue"),
        },
    ),
    Topic(
        (
            "{so} We watched the {sky} {ago} from the roof, wrapped in blankets.",
            "{wow} I missed it! Could you see much, {a}?",
            (
                "I could see even {seen} through my {scope}. {girl} asked a hundred questions about the {sky}.",
                "Through my {scope}, yes, even {seen}. {girl} asked a hundred questions.",
            ),
            "The universe makes one feel small.",
        ),
        (
            _when("When did {a} watch the {sky}?", 0),
            Ask("What could {a} see in the {sky}?", (2,)),
            Ask("Who asked {a} questions about the {sky}?", (2,)),
            Ask("What does {a} use to see the stars?", (2,)),
            Ask("Where did {a} watch the {sky}?", (0,)),
            Ask("What could {a} see in the night sky?", (2,)),
            Ask("Who was stargazing with {a}?", (2,)),
            Ask("What equipment does {a} use to look at the stars?", (2,)),
            Ask("What hobbies does {a} have?", (0,)),
        ),
        ("Clear sky tonight!", "I only know the Big Dipper."),
        {
            "sky": _of("eclipse,meteor shower,comet,northern lights,blood moon"),
            "scope": _of("binoculars,new telescope,spotting scope"),
            "seen": _of("Saturn's rings,the craters,a nebula,four moons of Jupiter"),
            "girl": _of("My niece,Little Tim,The twins,Grandpa"),
        },
    ),
)
