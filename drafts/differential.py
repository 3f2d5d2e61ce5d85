import asyncio, random, sys, logging, time
sys.path.insert(0,'.'); logging.disable(50)
from typing import Any, Optional, Union, Annotated
import strawberry, orjson
from graphql import parse, validate
from strawberry.permission import BasePermission
from graph.compiled.operations import CompiledOperation
class Deny(BasePermission):
    message="denied"
    def has_permission(self, source, info, **kw): return info.context["ok"]
class DenyLater(BasePermission):
    message="denied later"
    async def has_permission(self, source, info, **kw):
        await asyncio.sleep(0); return info.context["ok"]
@strawberry.interface
class Node:
    id: strawberry.ID
@strawberry.type
class Other(Node):
    label: str = "o"
@strawberry.type
class N(Node):
    name: Optional[str]; num: int; depth: strawberry.Private[int]
    @strawberry.field
    def boom(self)->Optional[str]: raise ValueError("boom")
    @strawberry.field
    def boom_non_null(self)->str: raise ValueError("boomNN")
    @strawberry.field
    def null_non_null(self)->str: return None
    @strawberry.field(permission_classes=[Deny])
    def secret(self)->Optional[str]: return "s"
    @strawberry.field(permission_classes=[DenyLater])
    async def later(self)->Optional[str]: return "l"
    @strawberry.field
    async def slow(self)->str:
        await asyncio.sleep(0); return "slow"
    @strawberry.field
    async def slow_boom(self)->Optional[str]:
        await asyncio.sleep(0); raise ValueError("slow boom")
    @strawberry.field
    async def slow_boom_nn(self)->str:
        await asyncio.sleep(0); raise ValueError("slow boom nn")
    @strawberry.field
    def tags(self)->list[str]: return ["a","b"]
    @strawberry.field
    def holes(self)->Optional[list[str]]: return ["a",None,"c"]
    @strawberry.field
    def opt_holes(self)->list[Optional[str]]: return ["a",None]
    @strawberry.field
    def kid(self)->Optional["N"]: return mk(self.depth+1)
    @strawberry.field
    async def slow_kid(self)->"N":
        await asyncio.sleep(0); return mk(self.depth+1)
    @strawberry.field
    def kids(self,n:int=2)->list["N"]: return [mk(self.depth+1) for _ in range(n)]
    @strawberry.field
    def opt_kids(self)->Optional[list[Optional["N"]]]: return [mk(1),None,mk(2)]
    @strawberry.field
    def nodes(self)->list[Node]: return [mk(1),Other(id="9"),mk(2)]
    @strawberry.field
    def either(self, other: bool=False)->Union["N",Other]: return Other(id="8") if other else mk(self.depth+1)
def mk(d): return N(id=strawberry.ID(str(d)),name=None if d%2 else "x",num=d,depth=d)
@strawberry.type
class Query:
    @strawberry.field
    async def root(self)->Optional[N]: return mk(0)
    @strawberry.field(permission_classes=[Deny])
    def guarded(self)->Optional[N]: return mk(1)
    @strawberry.field
    def strict(self)->N: return mk(2)
@strawberry.type
class Mutation:
    @strawberry.mutation
    async def one(self, n: int)->Optional[N]:
        await asyncio.sleep(0); return mk(n)
    @strawberry.mutation
    def two(self)->N: return mk(2)
    @strawberry.mutation
    def bad(self)->Optional[int]: raise ValueError("bad")
schema=strawberry.Schema(query=Query,mutation=Mutation)
LEAF=["id","name","num","boom","boomNonNull","nullNonNull","secret","later","slow","slowBoom","slowBoomNn","tags","holes","optHoles","__typename"]
OBJ=["kid","slowKid","kids","kids(n: $n)","optKids"]
ABS=["nodes","either","either(other: $b)"]
def sel(r,d):
    out=[]
    for f in r.sample(LEAF,r.randint(1,4)):
        if f in("boomNonNull","nullNonNull","slowBoomNn") and r.random()<.7: continue
        s=f if r.random()<.7 else f"a{r.randint(0,99)}{f.strip('_')}: {f}"
        if r.random()<.2: s+=r.choice([" @include(if: $b)"," @skip(if: $c)"," @skip(if: true)"])
        out.append(s)
    if d<3:
        for k,f in enumerate(r.sample(OBJ,r.randint(0,2))): out.append(f"k{k}{d}: {f} {{ {sel(r,d+1)} }}")
        if r.random()<.3: out.append(f"x{d}: {r.choice(ABS)} {{ __typename ... on Node {{ id }} ... on N {{ {sel(r,d+1)} }} ... on Other {{ label }} }}")
        if r.random()<.2: out.append("...F")
    return " ".join(out or ["id"])
async def main(n,seed):
    r=random.Random(seed); diff=ran=fell=0
    for i in range(n):
        mut=r.random()<.2
        roots=r.sample(["root","guarded","strict"],r.randint(1,3)) if not mut else r.sample(["one(n: $n)","two","bad"],r.randint(1,3))
        body=" ".join(f+(f" {{ {sel(r,0)} }}" if f!="bad" else "") for f in roots)
        q=("mutation" if mut else "query")+" Q($b: Boolean!, $c: Boolean! = false, $n: Int! = 2) { "+body+" z: __typename @include(if: $b) @skip(if: $c) w: __typename @skip(if: $c)" + " } fragment F on N { id num tags kids(n: $n) { name } }"
        doc=parse(q); errs=[e for e in validate(schema._schema,doc)]
        if any("never used" not in e.message for e in errs): continue
        op=CompiledOperation(schema,doc,doc.definitions[0])
        for v in ({"b":True},{"b":False,"c":True,"n":0},{"b":"x"}):
            ctx={"ok":r.random()<.5}
            async def get(x):
                x=await x if not hasattr(x,'data') else x
                await asyncio.sleep(0)
                return orjson.dumps({"data":x.data,"errors":[e.formatted for e in x.errors or []]})
            a=await get(op.execute(v,ctx)); b=await get(op.execute_uncompiled(v,ctx)); ran+=1
            if a!=b:
                diff+=1
                if diff<4: print("DIFF",q,v,ctx,"\n plan",a.decode()[:1500],"\n core",b.decode()[:1500])
        fell+=any(x is None for x in op._variants.values())
    print(ran,"runs",diff,"differ",fell,"fell back")
    q="{ strict { id name num kids(n: 50) { id num tags name } } }"; doc=parse(q); op=CompiledOperation(schema,doc,doc.definitions[0])
    for f in (op.execute,op.execute_uncompiled):
        t=time.perf_counter()
        for _ in range(100):
            x=f({},{"ok":True}); 
        print(f.__name__,(time.perf_counter()-t)*1e4,"us")
asyncio.run(main(int(sys.argv[1]),int(sys.argv[2])))
