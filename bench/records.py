"""Realistic, varied records of workflow runs, from a seed.

How they vary: every second workflow speaks Chinese, the others English. The input is a question, a translation, an
article order, an order look-up with nested values, a list of addresses, or JSON within a string as Coze sends it; the
output an object, a list, or plain text. Texts are put together from sentences with several open places, filled from
word lists and numbers, so that hardly two are alike. A language has about 20 000 nouns: some written down, the others
put together from roots and endings (in Chinese from two or three characters); the noun of rank r comes with a
probability near 1/(10 r), so that the first stand in most records of their language and the last in a few of a hundred
thousand. The length of texts is skewed: most records are near 1.5 KB, a few have 300
bytes, a few 20 KB. Nine in ten succeed, the others fail with various codes, are interrupted, or run on. A third has
a node timeline. Times rise, execute ids are UUIDv7. ``vocabulary`` 0 and 1 share no content words: the dictionary that
is shipped is trained on 1, measured is 0.

Short runs are for histories of many millions: the input is a noun, the output a few words and a number, no run has a node
timeline, and a record of a fixture has 0.7 KB and some 80 searchable tokens.
"""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

if TYPE_CHECKING:
    from execution_history.records.record import Document

_START_MS: Final = 1_761_900_000_000

_EN_NOUNS: Final = (
    "report customer invoice garden engine contract meeting harbour student recipe museum sensor budget forecast "
    "library passenger shipment camera festival island factory lesson account village battery network mountain ticket",
    "planet orchestra surgeon bridge novel pipeline tenant glacier kitchen archive satellite marathon vaccine portrait "
    "warehouse senator keyboard orchard lantern dialect turbine voucher quarry athlete compass furnace mortgage beacon",
)
_EN_VERBS: Final = (
    "explains improves delays replaces follows measures reduces describes includes prevents shows requires confirms",
    "borrows polishes rejects gathers inspects balances narrows uncovers repairs outlines restores questions defends",
)
_EN_ADJECTIVES: Final = (
    "quiet early expensive local reliable narrow seasonal public detailed modern careful double regional cheap",
    "bitter hollow ancient brisk fragile candid steep obscure lavish nimble rugged scarce vivid tranquil",
)
_ZH_NOUNS: Final = (
    "报告 客户 发票 花园 发动机 合同 会议 港口 学生 菜谱 博物馆 传感器 预算 天气 图书馆 乘客 货物 相机 节日 海岛 工厂 课程 账户 村庄 电池 网络 高山 门票",
    "行星 乐团 医生 桥梁 小说 管道 租户 冰川 厨房 档案 卫星 赛跑 疫苗 肖像 仓库 议员 键盘 果园 灯笼 方言 涡轮 代金券 矿场 运动员 罗盘 炉子 贷款 信标",
)
_ZH_VERBS: Final = (
    "说明 改善 推迟 代替 跟随 测量 减少 描述 包括 防止 显示 需要 确认",
    "借用 打磨 拒绝 收集 检查 平衡 缩小 揭开 修理 勾画 恢复 质疑 捍卫",
)
_ZH_ADJECTIVES: Final = (
    "安静的 较早的 昂贵的 本地的 可靠的 狭窄的 季节性的 公共的 详细的 现代的 仔细的 双重的 便宜的",
    "苦涩的 空心的 古老的 轻快的 易碎的 坦率的 陡峭的 晦涩的 奢华的 敏捷的 崎岖的 稀缺的 生动的",
)
# Nouns beyond those above are put together from these; each vocabulary has every second root.
_EN_ROOTS: Final = (
    "brand cloud grain stone water metal paper river forest glass steel cotton timber copper silver amber coral maple cedar "
    "willow falcon badger otter salmon beetle spider walnut pepper ginger saffron basil cherry lemon onion carrot barley "
    "wagon rocket tunnel ladder hammer needle anchor saddle basket mirror candle blanket helmet jacket pillow button "
    "server socket router packet kernel cursor cipher matrix vector tensor neuron enzyme tissue muscle artery tumor"
)
_EN_ENDINGS: Final = (
    "s er ers ing ings age ages ism ist ists able less ness ful let lets ship craft work works worker workers yard "
    "yards house houses land lands side sides way ways port ports ware smith smiths keeper keepers maker makers line lines "
    "field fields board boards room rooms gate gates mill mills stock stocks proof point points like wise form forms"
)
_ZH_ROOTS: Final = (
    "水火木金土山石田林江湖海云雨雪风光电声色香味食米麦茶酒盐糖油肉鱼鸟马牛羊龙虎花草树叶果根种"
    "车船机床桌门窗墙灯笔纸书画琴棋诗歌舞剧影像网码数据模型算法库表键值链块签证券股债税费价量率比差"
    "人民工农商学兵医师生友亲父母子女儿童老青少年月日时分秒春夏秋冬东南西北中上下左右前后内外高低长短"
)
_MOST_NOUNS: Final = 20_000

_EN_FORMS: Final = (
    "The {a} {n} {v} the {n2} by {k} percent.",
    "In {y} a {n} near the {a} {n2} {v} what was planned.",
    "{N} {m} {v} every {a} {n2}, which costs {k} a day.",
    "Why the {n} {v} its {n2} is not known; {k} of {m} were {a}.",
    "After {k} hours the {a} {n2} {v} another {n}.",
)
_ZH_FORMS: Final = (
    "{a}{n}{v}了{n2}，幅度为{k}%。",
    "{y}年，{n2}附近的{a}{n}{v}了原来的计划。",
    "第{m}号{n}每天{v}{a}{n2}，费用是{k}元。",
    "为什么{n}要{v}{n2}还不清楚，{m}个里有{k}个是{a}。",
    "{k}小时以后，{a}{n2}又{v}另一个{n}。",
)
_EN_SHORT_FORMS: Final = ("{a} {n}", "{n} {v} {n2}", "{n} what was planned", "{n} {k} percent")
_ZH_SHORT_FORMS: Final = ("{a}{n}", "{n}{v}{n2}", "{n}原来的计划", "{n}{k}%")
_ERRORS: Final = (
    (720702017, "plugin call failed"), (720701002, "the plugin timed out"), (4000, "bad request"),
    ("5000", "internal error"), (720701013, "execution failed"),
)  # fmt: skip
_NODES: Final = ("Start", "LLM", "Knowledge", "Code", "Plugin", "Output", "开始", "大模型", "知识库", "代码", "结束")


@dataclass(frozen=True, slots=True)
class Run:
    """A run as a caller records it: what it begins with and what it ends with."""

    workflow_id: str
    execute_id: str
    create_time: int
    parameters: dict[str, Any]
    bot_id: str | None
    conversation_id: str | None
    status: str
    output: Any
    error_code: int | str | None
    error_message: str | None
    debug_url: str | None
    usage: dict[str, int] | None
    node_execute_status: dict[str, Any] | None

    def record(self) -> dict[str, Any]:
        """The finished record, with the 19 keys in their order."""
        return {
            "execute_id": self.execute_id,
            "workflow_id": self.workflow_id,
            "create_time": self.create_time,
            "update_time": self.create_time + 900 + len(self.execute_id) * 37,
            "execute_status": self.status,
            "error_code": self.error_code,
            "error_message": self.error_message,
            "output": self.output,
            "input_parameters": self.parameters,
            "bot_id": self.bot_id,
            "conversation_id": self.conversation_id,
            "debug_url": self.debug_url,
            "run_mode": 1,
            "usage": self.usage,
            "metadata": {},
            "connector_id": None,
            "connector_uid": None,
            "is_output_trimmed": False,
            "node_execute_status": self.node_execute_status,
        }

    def document(self) -> "Document":
        """The finished record as a store keeps it."""
        from execution_history.records.record import Document  # noqa: PLC0415 - what we are compared with loads none of it

        record = self.record()
        return Document.of(record, orjson.dumps(record))


def runs(
    count: int, *, workflows: int = 100, seed: int = 1, vocabulary: int = 0, first: int = 0, is_short: bool = False
) -> Iterator[Run]:
    """*count* runs of *workflows* workflows in the order of their time, from the number *first* on; always the same."""
    writer = (_ShortWriter if is_short else _Writer)(random.Random(seed), vocabulary)
    for number in range(first, first + count):
        yield writer.run(number, workflows)


@cache
def nouns(*, chinese: bool, vocabulary: int = 0) -> list[str]:
    """The nouns of a language, the most frequent first."""
    written = (_ZH_NOUNS if chinese else _EN_NOUNS)[vocabulary].split()
    return [*written, *islice(_more_nouns(chinese, vocabulary), _MOST_NOUNS - len(written))]


def _more_nouns(chinese: bool, vocabulary: int) -> Iterator[str]:
    """Nouns that are put together, the short ones first, each kind in an order that only *vocabulary* decides."""
    roots = list(_ZH_ROOTS) if chinese else _EN_ROOTS.split()
    endings = roots if chinese else _EN_ENDINGS.split()
    firsts = roots[vocabulary::2]
    order = random.Random(vocabulary)
    short = [first + ending for first in firsts for ending in endings]
    long = [first + second + ending for first in firsts for second in roots[::7] for ending in endings]
    for part in (short, long):
        order.shuffle(part)
        yield from part


class _Writer:
    forms: ClassVar[dict[bool, tuple[str, ...]]] = {True: _ZH_FORMS, False: _EN_FORMS}
    with_nodes: ClassVar[float] = 1 / 3

    def __init__(self, chance: random.Random, vocabulary: int) -> None:
        self._chance = chance
        self._words = {
            chinese: [nouns(chinese=chinese, vocabulary=vocabulary), *(part[vocabulary].split() for part in parts)]
            for chinese, parts in ((True, (_ZH_VERBS, _ZH_ADJECTIVES)), (False, (_EN_VERBS, _EN_ADJECTIVES)))
        }

    def run(self, number: int, workflows: int) -> Run:
        """The run with this number."""
        chance = self._chance
        workflow = chance.randrange(workflows)
        chinese = workflow % 2 == 1
        time = _START_MS + number * 40 + chance.randrange(40)
        status = chance.choices(("success", "failed", "interrupted", "running"), (90, 7, 2, 1))[0]
        code, message = chance.choice(_ERRORS) if status == "failed" else (None, None)
        ended = status in {"success", "failed"}
        spent = (chance.randrange(40, 4000), chance.randrange(20, 2500))
        upstream = chance.randrange(7 * 10**18, 8 * 10**18)
        return Run(
            workflow_id=str(7_320_000_000_000_000_000 + workflow * 7_919_113),
            execute_id=str(
                uuid.UUID(int=time << 80 | 0x7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62))
            ),
            create_time=time,
            parameters=self._parameters(chinese),
            bot_id=str(7_400_000_000_000_000_000 + workflow) if workflow % 3 == 0 else None,
            conversation_id=str(chance.randrange(7 * 10**18, 8 * 10**18)) if workflow % 4 == 0 else None,
            status=status,
            output=self._output(chinese) if status == "success" else None,
            error_code=code,
            error_message=message and f"{message}: {self._text(chinese, 1)}",
            debug_url=f"https://www.coze.cn/work_flow?execute_id={upstream}&space_id=7219&workflow_id={workflow}"
            if ended
            else None,
            usage={"input_count": spent[0], "output_count": spent[1], "token_count": sum(spent)} if ended else None,
            node_execute_status=self._nodes(chinese, time) if ended and chance.random() < self.with_nodes else None,
        )

    def _noun(self, nouns: list[str]) -> str:
        """A noun by Zipf's law: that of rank r about twice as often as that of rank 2 r."""
        return nouns[int(_MOST_NOUNS ** self._chance.random()) - 1]

    def _sentence(self, chinese: bool) -> str:
        chance = self._chance
        nouns, verbs, adjectives = self._words[chinese]
        form = chance.choice(self.forms[chinese])
        return form.format(
            n=self._noun(nouns), n2=self._noun(nouns), N=self._noun(nouns).capitalize(), v=chance.choice(verbs),
            a=chance.choice(adjectives), k=chance.randrange(1, 1000), m=chance.randrange(1000, 100_000),
            y=chance.randrange(1950, 2030),
        )  # fmt: skip

    def _text(self, chinese: bool, sentences: int) -> str:
        return ("" if chinese else " ").join(self._sentence(chinese) for _ in range(sentences))

    def _length(self) -> int:
        return min(200, max(1, int(self._chance.lognormvariate(1.75, 0.75))))

    def _parameters(self, chinese: bool) -> dict[str, Any]:
        chance = self._chance
        shape = chance.randrange(6)
        if shape == 0:
            return {"query": self._text(chinese, 1 + self._length() // 4), "lang": "zh" if chinese else "en"}
        if shape == 1:
            return {
                "text": self._text(chinese, 1 + self._length() // 2),
                "from": "zh-CN",
                "to": "en-US",
                "formal": True,
            }
        if shape == 2:
            return {"title": self._sentence(chinese), "words": chance.randrange(200, 3000), "tone": "neutral"}
        if shape == 3:
            items = [
                {"sku": f"A{chance.randrange(10**6)}", "count": chance.randrange(1, 9)}
                for _ in range(chance.randrange(1, 5))
            ]
            return {"order": {"id": chance.randrange(10**12), "items": items, "note": self._sentence(chinese)}}
        if shape == 4:
            return {
                "images": [
                    f"https://cdn.example.com/{chance.getrandbits(64):016x}.png" for _ in range(chance.randrange(1, 6))
                ]
            }
        return {"input": orjson.dumps({"q": self._sentence(chinese), "k": chance.randrange(100)}).decode()}

    def _output(self, chinese: bool) -> Any:
        chance = self._chance
        text = self._text(chinese, self._length() + 2)
        shape = chance.randrange(4)
        if shape == 0:
            return {"output": text}
        if shape == 1:
            return {
                "result": text,
                "score": round(chance.random(), 4),
                "tags": [self._sentence(chinese)[:12] for _ in range(3)],
            }
        if shape == 2:
            return {
                "data": {
                    "answer": text,
                    "sources": [{"id": chance.randrange(10**9), "rank": rank} for rank in range(3)],
                }
            }
        return text

    def _nodes(self, chinese: bool, time: int) -> dict[str, Any]:
        nodes = {}
        for name in self._chance.sample(_NODES, self._chance.randrange(1, 4)):
            uid = f"{self._chance.getrandbits(128):032x}"
            nodes[name] = {
                "node_id": str(100_000 + self._chance.randrange(900_000)), "node_title": name, "node_type": None,
                "node_execute_uuid": uid, "is_finish": True, "start_time": time, "update_time": time + 800,
                "content": self._sentence(chinese), "packets": [[1, 120, 40]], "packet_count": 1, "usage": None,
            }  # fmt: skip
        return nodes


class _ShortWriter(_Writer):
    forms: ClassVar[dict[bool, tuple[str, ...]]] = {True: _ZH_SHORT_FORMS, False: _EN_SHORT_FORMS}
    with_nodes: ClassVar[float] = 0

    def _parameters(self, chinese: bool) -> dict[str, Any]:
        return {"q": self._noun(self._words[chinese][0])}

    def _output(self, chinese: bool) -> Any:
        return {"a": self._sentence(chinese), "score": self._chance.randrange(101) / 100}
