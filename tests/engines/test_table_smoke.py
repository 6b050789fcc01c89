from freshwell.engines.table import Table
def test_smoke():
    t=Table(max_entries=3,max_bytes=10**6,now_ns=lambda:1000)
    kw=dict(calm_until_ns=5000,fresh_until_ns=6000,stale_until_ns=7000,born_ns=500,cost_ns=17)
    e=t.put("a",1,**kw)
    assert (e.fresh_until_ns,e.stale_until_ns,e.born_ns,e.cost_ns,e.negative)==(6000,7000,500,17,False)
    assert e.calm_until_ns<=5000
    d={}
    assert t.attach("a",d,5,int) and d[5] is e
    for k in "bcd": t.put(k,k,**kw); t.check()
    assert t.evictions==1 and not d and e.calm_until_ns==-1 and e.value is None
    f=t.begin("z"); t.drop("z"); assert t.put("z",1,fetch=f,**kw) is None
    assert t.expire("d"); assert t.get("d").stale_until_ns==7000; assert t.get("d").fresh_until_ns==1000
    t.check(); assert t.clear()==3; t.check()
