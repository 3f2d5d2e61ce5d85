/**
 * @generated SignedSource<<478ccbc24364de379300a0c4497965b7>>
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

var node = (function(){
var v0 = [
  {
    "alias": null,
    "args": null,
    "concreteType": "User",
    "kind": "LinkedField",
    "name": "me",
    "plural": false,
    "selections": [
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "id",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "username",
        "storageKey": null
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": [],
    "kind": "Fragment",
    "metadata": null,
    "name": "meQuery",
    "selections": (v0/*:: as any*/),
    "type": "Query",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": [],
    "kind": "Operation",
    "name": "meQuery",
    "selections": (v0/*:: as any*/)
  },
  "params": {
    "cacheID": "7808019d951914f696c505661117e2d0",
    "id": null,
    "metadata": {},
    "name": "meQuery",
    "operationKind": "query",
    "text": "query meQuery {\n  me {\n    id\n    username\n  }\n}\n"
  }
};
})();

node.hash = "fdc78283618be21e77263503d3b4204c";

export default node;
